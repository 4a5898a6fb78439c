"""Server-Sent Events: everything once and in order, also for whoever was away, and no longer than the token is good."""

import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPResponse
from itertools import islice
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.test import override_settings
from redis import Redis

from easel import feed
from easel.database import changed, platform_role
from generation import events
from generation.production import Production
from generation.source import PostgresSource
from tenants.audit import Actor
from tenants.key_changes import rotate
from tests.cast import Customer
from tests.generation.conftest import Workshop
from tests.tenants.door import sign, soon
from tests.tenants.test_giving_tokens_back import give_back
from tests.web.live import Event, ask, easel_served, hang_up
from tests.web.live import events as read
from tests.web.served import connect


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with easel_served() as port:
        yield port


def stream(port: int, customer: Customer, generation: UUID | None = None, **headers: str) -> HTTPResponse:
    path = f"/v1/generations/{generation}/events" if generation else "/v1/events"
    return ask(port, "GET", path, token=customer.token(), Accept="text/event-stream", **headers)


def told(found: list[Event]) -> list[tuple[str, str]]:
    return [(event.kind, event.data.get("status", "")) for event in found if event.kind != "progress"]


def test_a_generation_is_followed_to_its_end(
    ada: Customer, workshop: Workshop, production: Production, port: int
) -> None:
    generation = workshop.submit(ada)
    answer = stream(port, ada, generation)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
    assert (answer.headers["X-Accel-Buffering"], answer.headers["Cache-Control"]) == ("no", "no-store")
    found = read(answer)
    first = next(found)
    production.drain(workshop.pool)
    rest = list(found)  # the stream ends by itself
    lived = [event for event in [first, *rest] if event.kind != "preview"]
    assert told(lived) == [("status", "queued"), ("status", "running"), ("done", "completed")]
    assert {event.data["generation"] for event in rest} == {str(generation)}


def test_previews_are_passed_on(ada: Customer, workshop: Workshop, port: int) -> None:
    generation = workshop.submit(ada)
    found = read(stream(port, ada, generation))
    next(found)
    preview = {"index": 0, "step": 5, "steps": 20, "content_type": "image/jpeg", "image": "/9j/4A=="}
    events.publish(generation, "preview", preview, tenant_id=ada.id)
    event = next(found)
    assert (event.kind, event.data) == ("preview", {"generation": str(generation), **preview})


def test_whoever_was_away_hears_what_was_missed_and_nothing_twice(ada: Customer, workshop: Workshop, port: int) -> None:
    generation = workshop.submit(ada)
    for step in range(3):
        events.publish(generation, "preview", {"step": step}, tenant_id=ada.id)
    first = stream(port, ada, generation)
    (job,) = PostgresSource().claim(workshop.pool, limit=1)
    running = next(event for event in read(first) if event.id)
    assert running.data["status"] == "running"
    events.publish(generation, "preview", {"step": 3}, tenant_id=ada.id)
    PostgresSource().fail(job, code="out_of_memory", detail="")
    again = list(read(stream(port, ada, generation, Last_Event_ID=running.id)))
    assert [(event.kind, event.data.get("step")) for event in again] == [("preview", 3), ("done", None)]
    assert list(read(stream(port, ada, generation, Last_Event_ID=again[0].id))) == again[1:]
    (only,) = read(stream(port, ada, generation, Last_Event_ID=again[1].id))
    assert told([only]) == [("done", "failed")]


def test_where_the_log_is_gone_the_row_says_how_things_stand(ada: Customer, workshop: Workshop, port: int) -> None:
    generation = workshop.submit(ada)
    with Redis.from_url(settings.CACHE_URL) as valkey:
        valkey.delete(feed.subject_log(generation))
    assert told([next(read(stream(port, ada, generation, Last_Event_ID="1-1")))]) == [("status", "queued")]
    with platform_role():
        changed("UPDATE generation_generation SET status = 'completed' WHERE id = %s", [generation])
    for last in ("", "1-1", "nonsense", "9" * 40):
        assert told(list(read(stream(port, ada, generation, Last_Event_ID=last)))) == [("done", "completed")]


def test_the_accounts_stream_tells_of_all_its_generations_and_of_nobody_elses(
    ada: Customer, bob: Customer, workshop: Workshop, port: int
) -> None:
    answer = stream(port, ada)
    assert answer.headers["Content-Type"] == "text/event-stream"
    found = read(answer)
    workshop.submit(bob)
    mine = [workshop.submit(ada) for _ in range(2)]
    heard = list(islice(found, 2))
    assert [event.data["generation"] for event in heard] == [str(generation) for generation in mine]
    later = workshop.submit(ada)
    missed = next(read(stream(port, ada, Last_Event_ID=heard[1].id)))
    assert missed.data["generation"] == str(later)


def test_the_accounts_stream_goes_on_after_a_preview(ada: Customer, workshop: Workshop, port: int) -> None:
    """Its log keeps no previews, and a client names the last event that it saw, whatever that was."""
    found = read(stream(port, ada))
    generation = workshop.submit(ada)
    (job,) = PostgresSource().claim(workshop.pool, limit=1)
    events.publish(generation, "preview", {"step": 5}, tenant_id=ada.id)
    seen = list(islice(found, 3))
    assert [event.kind for event in seen] == ["status", "status", "preview"]
    PostgresSource().fail(job, code="out_of_memory", detail="")
    for last in seen[1:]:
        missed = next(read(stream(port, ada, Last_Event_ID=last.id)))
        assert (missed.kind, missed.data["status"]) == ("done", "failed")


@pytest.mark.parametrize("whose", ["another's", "nobody's"])
def test_what_is_not_yours_has_no_stream(
    ada: Customer, bob: Customer, workshop: Workshop, port: int, whose: str
) -> None:
    answer = stream(port, bob, workshop.submit(ada) if whose == "another's" else uuid4())
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_a_stream_ends_with_its_token(ada: Customer, workshop: Workshop, port: int) -> None:
    generation = workshop.submit(ada)
    token = sign({"exp": soon(2), "iss": ada.key.public_id}, ada.secret)
    started = time.monotonic()
    found = list(read(ask(port, "GET", f"/v1/generations/{generation}/events", token=token)))
    assert (found[-1].kind, found[-1].data["reason"]) == ("end", "expired")
    assert time.monotonic() - started < 6


def test_a_stream_ends_within_five_seconds_of_its_keys_revocation(ada: Customer, workshop: Workshop, port: int) -> None:
    found = read(stream(port, ada, workshop.submit(ada)))
    next(found)
    with platform_role():
        changed("UPDATE tenants_apikey SET revoked_at = now() WHERE id = %s", [ada.key.id])
    started = time.monotonic()
    assert [event.data["reason"] for event in found if event.kind == "end"] == ["revoked"]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("deed", ["give back", "rotate without overlap"])
@pytest.mark.parametrize("kind", ["issued", "self-signed"])
def test_a_stream_ends_when_its_token_would_open_none(
    ada: Customer, workshop: Workshop, port: int, kind: str, deed: str
) -> None:
    token = ada.token() if kind == "issued" else sign({"exp": soon(), "iss": ada.key.public_id}, ada.secret)
    time.sleep(1.1)  # a token's time is in whole seconds
    found = read(ask(port, "GET", f"/v1/generations/{workshop.submit(ada)}/events", token=token))
    next(found)
    if deed == "give back":
        assert give_back(ada, token).status_code == 200
    else:
        assert rotate(ada.key, overlap=timedelta(0), actor=Actor(kind="key", name="test"))
    assert [event.data["reason"] for event in found if event.kind == "end"] == ["revoked"]


def test_a_tenant_has_so_many_streams_and_the_next_is_told_to_come_back(
    ada: Customer, bob: Customer, workshop: Workshop
) -> None:
    with override_settings(STREAMS_PER_TENANT=2), easel_served() as port:
        open_ones = [stream(port, ada) for _ in range(2)]
        refused = stream(port, ada)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
        assert b'"rate_limited"' in refused.read()
        assert stream(port, bob).status == 200
        hang_up(open_ones[0])
        generation = workshop.submit(ada)
        deadline = time.monotonic() + 5
        while (answer := stream(port, ada, generation)).status != 200:
            assert time.monotonic() < deadline, "a closed stream still counts"
            answer.read()


def test_an_erased_generation_has_no_stream(ada: Customer, workshop: Workshop, port: int) -> None:
    generation = workshop.submit(ada)
    found = read(stream(port, ada, generation))
    next(found)
    assert ada.client().delete(f"/v1/generations/{generation}").status_code == 204
    assert told(list(found)) == [("done", "canceled")]
    assert stream(port, ada, generation).status == 404


def test_a_client_that_reads_slowly_loses_previews_and_never_a_status(
    ada: Customer, workshop: Workshop, port: int
) -> None:
    generation = workshop.submit(ada)
    slow = socket.create_connection(("127.0.0.1", port))
    head = f"GET /v1/generations/{generation}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.token()}\r\n\r\n"
    slow.sendall(head.encode())
    time.sleep(0.5)
    picture = "x" * 60_000
    for step in range(500):
        events.publish(generation, "preview", {"step": step, "image": picture}, tenant_id=ada.id)
    (job,) = PostgresSource().claim(workshop.pool, limit=1)
    PostgresSource().fail(job, code="out_of_memory", detail="")
    time.sleep(0.5)
    parts: list[bytes] = [b""]
    slow.settimeout(10)
    while b"event: done" not in parts[-1] and (part := slow.recv(1 << 20)):
        parts.append(parts.pop()[-50:] + part) if len(part) < 50 else parts.append(part)
    slow.close()
    received = b"".join(parts)
    assert received.count(b"event: status") == 2
    assert 0 < received.count(b"event: preview") < 500


def test_a_broken_feed_ends_the_streams_and_the_next_ones_are_fed_again(
    ada: Customer, workshop: Workshop, port: int
) -> None:
    found = read(stream(port, ada, workshop.submit(ada)))
    next(found)
    with Redis.from_url(settings.CACHE_URL) as valkey:
        valkey.client_kill_filter(_type="pubsub")
    assert [event.data["reason"] for event in found if event.kind == "end"] == ["broken"]
    generation = workshop.submit(ada)
    found = read(stream(port, ada, generation))
    assert told([next(found)]) == [("status", "queued")]
    assert len(PostgresSource().claim(workshop.pool, limit=2)) == 2
    assert told([next(found)]) == [("status", "running")]


def test_a_stopping_server_lets_its_streams_go_first(ada: Customer, workshop: Workshop) -> None:
    started = time.monotonic()
    generation = workshop.submit(ada)
    with easel_served() as port:
        found = read(stream(port, ada, generation))
        next(found)
        started = time.monotonic()
    assert time.monotonic() - started < 8


def test_a_ticket_opens_the_one_stream_it_was_made_for(ada: Customer, workshop: Workshop, port: int) -> None:
    mine, other = workshop.submit(ada), workshop.submit(ada)
    word = ada.client().post(f"/v1/generations/{mine}/tickets", {}, format="json").json()["ticket"]
    answers = {}
    for generation in (mine, other):
        connection = connect(port)
        connection.request("GET", f"/v1/generations/{generation}/events?ticket={word}")
        answers[generation] = connection.getresponse()
    assert (answers[mine].status, "Origin" in answers[mine].headers["Vary"]) == (200, True)
    assert told([next(read(answers[mine]))]) == [("status", "queued")]
    assert (answers[other].status, b"token_invalid" in answers[other].read()) == (401, True)
