"""Whoever waits is told at once, and holds no thread meanwhile."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test import override_settings

from easel.database import changed, platform_role, rows
from generation import events
from generation.models import Generation
from generation.source import Job, PostgresSource
from tests.aside import aside
from tests.cast import Customer
from tests.generation.conftest import Workshop, until
from tests.web.live import ask, easel_served

FOREVER = "wait=60"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with easel_served() as port:
        yield port


def finish(workshop: Workshop) -> None:
    """End the workshop's oldest job, as a worker would, a moment from now."""

    def act() -> None:
        time.sleep(0.3)
        jobs: list[Job] = []
        until(lambda: jobs.extend(PostgresSource().claim(workshop.pool, limit=1)) or jobs)
        (job,) = jobs
        PostgresSource().fail(job, code="out_of_memory", detail="")
        connections.close_all()

    threading.Thread(target=act).start()


def test_a_submission_that_waits_is_answered_with_the_ending(ada: Customer, workshop: Workshop, port: int) -> None:
    finish_later = threading.Timer(0.3, lambda: finish(workshop))
    finish_later.start()
    started = time.monotonic()
    answer = ask(port, "POST", "/v1/generations", token=ada.token(), body=workshop.body(), Prefer=FOREVER)
    body = _json(answer)
    assert (answer.status, body["status"], body["error"]["code"]) == (200, "failed", "out_of_memory")
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert answer.headers["Location"].endswith(body["id"])
    assert answer.headers["X-Request-ID"]
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("path", ["/v1/generations/{}", "/v1/generations/status/{}", "/v1/generations/result/{}"])
def test_a_long_poll_is_answered_when_the_generation_ends(
    ada: Customer, workshop: Workshop, port: int, path: str
) -> None:
    generation = workshop.submit(ada)
    finish(workshop)
    answer = ask(port, "GET", path.format(generation), token=ada.token(), Prefer=f"respond-async, {FOREVER}")
    assert (answer.status, _json(answer)["status"]) == (200, "failed")
    assert answer.headers["Retry-After"] is None


def test_a_wait_that_is_over_says_how_things_stand(ada: Customer, workshop: Workshop, port: int) -> None:
    started = time.monotonic()
    answer = ask(port, "POST", "/v1/generations", token=ada.token(), body=workshop.body(), Prefer="wait=1")
    assert (answer.status, _json(answer)["status"]) == (202, "queued")
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert 0.9 < time.monotonic() - started < 8


@pytest.mark.parametrize("prefer", ["wait=soon", "wait=", "respond-async", "wait=0"])
def test_a_preference_that_says_nothing_is_ignored(ada: Customer, workshop: Workshop, port: int, prefer: str) -> None:
    answer = ask(port, "POST", "/v1/generations", token=ada.token(), body=workshop.body(), Prefer=prefer)
    assert (answer.status, answer.headers["Preference-Applied"]) == (202, None)
    answer.read()


def test_lost_news_cost_time_and_nothing_else(
    ada: Customer, workshop: Workshop, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easel.continuation.RECHECK_SECONDS", (0.5, 0.6))
    generation = workshop.submit(ada)
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(
            ask, port, "GET", f"/v1/generations/status/{generation}", token=ada.token(), Prefer=FOREVER
        )
        time.sleep(0.3)
        with platform_role():
            changed("UPDATE generation_generation SET status = 'canceled' WHERE id = %s", [generation])
        assert _json(answer.result(10))["status"] == "canceled"


def test_two_hundred_waiters_leave_status_reads_their_threads(ada: Customer, workshop: Workshop) -> None:
    """Were a thread held by each, four would be enough to close the door."""
    generation = workshop.submit(ada)
    token = ada.token()
    with override_settings(WAITS_PER_TENANT=200), easel_served() as port, ThreadPoolExecutor(200) as threads:
        path = f"/v1/generations/{generation}"
        waiters = [threads.submit(ask, port, "GET", path, token=token, Prefer=FOREVER) for _ in range(200)]
        time.sleep(2)
        for _ in range(20):
            status = ask(port, "GET", f"/v1/generations/status/{generation}", token=token)
            assert _json(status)["status"] == "queued"
        assert not any(waiter.done() for waiter in waiters)
        finish(workshop)
        assert {_json(waiter.result(30))["status"] for waiter in waiters} == {"failed"}


def test_a_tenant_with_too_many_waiting_is_answered_at_once(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    generations = {customer: workshop.submit(customer) for customer in (ada, bob)}
    with override_settings(WAITS_PER_TENANT=1), easel_served() as port, ThreadPoolExecutor(2) as threads:
        first = threads.submit(
            ask, port, "GET", f"/v1/generations/{generations[ada]}", token=ada.token(), Prefer="wait=3"
        )
        time.sleep(0.7)
        second = ask(port, "GET", f"/v1/generations/{generations[ada]}", token=ada.token(), Prefer="wait=3")
        assert (second.headers["Preference-Applied"], _json(second)["status"]) == (None, "queued")
        other = ask(port, "GET", f"/v1/generations/{generations[bob]}", token=bob.token(), Prefer="wait=1")
        assert other.headers["Preference-Applied"] == "wait=1"
        other.read()
        assert first.result(10).headers["Preference-Applied"] == "wait=3"


def test_another_generations_news_wake_nobody(ada: Customer, workshop: Workshop, port: int) -> None:
    generation = workshop.submit(ada)
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(
            ask, port, "GET", f"/v1/generations/status/{generation}", token=ada.token(), Prefer="wait=2"
        )
        time.sleep(0.5)
        events.publish(UUID(int=7), "done", {"status": "completed"}, tenant_id=ada.id)
        assert _json(answer.result(10))["status"] == "queued"


def test_a_picture_that_was_waited_for_in_vain_is_not_there(ada: Customer, workshop: Workshop, port: int) -> None:
    generation = workshop.submit(ada)
    finish(workshop)
    path = f"/v1/generations/result/{generation}"
    answer = ask(port, "GET", path, token=ada.token(), Accept="image/*", Prefer=FOREVER)
    assert told(answer) == (404, "not_found")


@pytest.mark.parametrize("path", ["/v1/generations/{}", "/v1/generations/status/{}", "/v1/generations/result/{}"])
def test_what_is_deleted_while_it_is_waited_for_is_not_there(
    ada: Customer, workshop: Workshop, port: int, path: str
) -> None:
    generation = workshop.submit(ada)
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(ask, port, "GET", path.format(generation), token=ada.token(), Prefer=FOREVER)
        time.sleep(0.5)
        assert ada.client().delete(f"/v1/generations/{generation}").status_code == 204
        assert told(answer.result(30)) == (404, "not_found")


def told(answer: HTTPResponse) -> tuple[int, str]:
    """The status and code of a problem that names its request."""
    body = _json(answer)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert body["instance"] == answer.headers["X-Request-ID"]
    return answer.status, body["code"]


def test_a_database_that_answers_too_late_costs_nobody_what_was_accepted(
    ada: Customer, workshop: Workshop, port: int
) -> None:
    with ThreadPoolExecutor(1) as thread, aside() as other:
        answer = thread.submit(
            ask, port, "POST", "/v1/generations", token=ada.token(), body=workshop.body(), Prefer="wait=3"
        )
        generation = accepted(ada)
        other.do(lambda: rows(LOCKED))
        events.publish(generation, "done", {"status": "completed"}, tenant_id=ada.id)
        until(waiting_for_a_lock)
        found = answer.result(30)
        assert (found.status, _json(found)["id"]) == (202, str(generation))


def test_a_database_that_goes_away_meanwhile_is_asked_again(ada: Customer, workshop: Workshop, port: int) -> None:
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(
            ask, port, "POST", "/v1/generations", token=ada.token(), body=workshop.body(), Prefer=FOREVER
        )
        generation = accepted(ada)
        with aside() as other:
            other.do(lambda: rows(LOCKED))
            events.publish(generation, "done", {"status": "completed"}, tenant_id=ada.id)
            until(waiting_for_a_lock)
            for process in waiting_for_a_lock():
                rows("SELECT pg_terminate_backend(%s)", [process])
        finish(workshop)
        found = answer.result(30)
        body = _json(found)
        assert (found.status, body["id"], body["status"]) == (200, str(generation), "failed")


LOCKED = "LOCK TABLE generation_generation IN ACCESS EXCLUSIVE MODE"


def accepted(customer: Customer) -> UUID:
    """The customer's one generation, once its answer is held."""

    def found() -> list[UUID]:
        with platform_role():
            return list(Generation.objects.filter(tenant=customer.tenant).values_list("id", flat=True))

    until(found)
    time.sleep(0.5)
    (generation,) = found()
    return generation


def waiting_for_a_lock() -> list[int]:
    """The web's processes in Postgres that stand still."""
    found = rows("SELECT pid FROM pg_stat_activity WHERE usename = current_user AND wait_event_type = 'Lock'")
    return [process for (process,) in found]


def _json(answer: Any) -> Any:
    return json.loads(answer.read())
