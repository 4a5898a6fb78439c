"""Of a request whose answer is made after its view, what was sent is counted and logged, once."""

import json
import socket
import threading
from uuid import UUID

from django.db import connections
from django.test import override_settings
from prometheus_client import REGISTRY

from generation.source import PostgresSource
from tests.cast import Customer
from tests.generation.conftest import Workshop
from tests.generation.test_test_mode import with_test_key
from tests.web.live import ask, easel_served, hang_up
from tests.web.served import connect, eventually
from tests.web.test_logs import Lines

HELD = "compat/openai/v1/images/generations"
STREAM = "v1/generations/<uuid:generation_id>/events"


def counted(route: str, *, method: str = "POST") -> dict[str, int]:
    """By status."""
    return {
        sample.labels["status"]: int(sample.value)
        for metric in REGISTRY.collect()
        if metric.name == "easel_http_requests"
        for sample in metric.samples
        if sample.name.endswith("_total") and (sample.labels["route"], sample.labels["method"]) == (route, method)
    }


def since(before: dict[str, int], route: str, *, method: str = "POST") -> dict[str, int]:
    after = counted(route, method=method)
    more = {status: number - before.get(status, 0) for status, number in after.items()}
    return {status: number for status, number in more.items() if number}


def problems(code: str) -> float:
    return REGISTRY.get_sample_value("easel_problems_total", {"code": code}) or 0.0


def answered(written: Lines, request_id: str) -> list[tuple[int, str]]:
    return [
        (line["http.response.status_code"], line.get("tenant", ""))
        for line in written()
        if line.get("request_id") == request_id and line["message"] == "answered"
    ]


def draw(port: int, customer: Customer, workshop: Workshop, **fields: object) -> tuple[int, str]:
    body = {"prompt": "an apple", "model": workshop.model.name, "size": "64x64", **fields}
    answer = ask(port, "POST", f"/{HELD}", token=customer.token(), body=body)
    answer.read()
    return answer.status, answer.headers["X-Request-ID"]


def fail(workshop: Workshop) -> None:
    """The next job, as a worker would."""

    def act() -> None:
        source = PostgresSource()
        jobs: list[object] = []
        eventually(lambda: jobs.extend(source.claim(workshop.pool, limit=1)) or jobs)
        source.fail(jobs[0], code="out_of_memory", detail="")  # type: ignore[arg-type]
        connections.close_all()

    threading.Thread(target=act).start()


def test_a_held_call_is_what_came_of_it(port: int, ada: Customer, workshop: Workshop, lines: Lines) -> None:
    before, of_code = counted(HELD), problems("internal_error")
    fail(workshop)
    status, request_id = draw(port, ada, workshop)
    assert status == 500
    assert since(before, HELD) == {"500": 1}
    assert problems("internal_error") - of_code == 1
    assert answered(lines, request_id) == [(500, str(ada.id))]


def test_a_call_that_nobody_waited_for_is_no_success(port: int, ada: Customer, workshop: Workshop) -> None:
    before = counted(HELD)
    connection = connect(port)
    connection.request(
        "POST", f"/{HELD}", json.dumps({"prompt": "an apple", "model": workshop.model.name}),
        {"Authorization": f"Bearer {ada.token()}", "Content-Type": "application/json"},
    )  # fmt: skip
    eventually(lambda: waiting() > 0)
    connection.close()
    eventually(lambda: since(before, HELD) == {"499": 1})


def waiting() -> float:
    return REGISTRY.get_sample_value("easel_waiters") or 0.0


def test_what_a_test_key_asked_for_is_no_failure_of_ours(
    port: int, ada: Customer, workshop: Workshop, rehearsing: None, lines: Lines
) -> None:  # fmt: skip
    tester, before = with_test_key(ada), counted(HELD)
    of_code = {code: problems(code) for code in ("internal_error", "overloaded")}
    for word, expected in (("failed", 500), ("overloaded", 503)):
        status, request_id = draw(port, tester, workshop, prompt=f"test:{word}")
        assert (status, answered(lines, request_id)) == (expected, [(expected, str(ada.id))])
    assert since(before, HELD) == {"rehearsed": 2}
    assert of_code == {code: problems(code) for code in of_code}
    assert "the request failed" not in {line["message"] for line in lines()}


def test_a_stream_that_is_refused_is_no_success(ada: Customer, workshop: Workshop) -> None:
    of_code = problems("rate_limited")
    with override_settings(STREAMS_PER_TENANT=1), easel_served() as port:
        path = f"/v1/generations/{UUID(str(workshop.submit(ada)))}/events"
        before = counted(STREAM, method="GET")
        first = ask(port, "GET", path, token=ada.token())
        refused = ask(port, "GET", path, token=ada.token())
        assert (first.status, refused.status) == (200, 429)
        refused.read()
        hang_up(first)
    assert since(before, STREAM, method="GET") == {"200": 1, "429": 1}
    assert problems("rate_limited") - of_code == 1


def test_what_is_refused_before_django_is_counted_and_logged(port: int, lines: Lines) -> None:
    before, of_code = counted("v1/generations"), problems("body_too_large")
    head = f"POST /v1/generations HTTP/1.1\r\nHost: a\r\nX-Request-ID: too-large\r\nContent-Length: {1 << 40}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(head.encode())
        assert client.recv(12) == b"HTTP/1.1 413"
    assert since(before, "v1/generations") == {"413": 1}
    assert problems("body_too_large") - of_code == 1
    assert answered(lines, "too-large") == [(413, "")]


def test_a_method_that_the_loop_does_not_take_is_counted(port: int) -> None:
    before = counted("unmatched", method="DELETE")
    connection = connect(port)
    connection.request("DELETE", "/healthz")
    assert connection.getresponse().status == 405
    assert since(before, "unmatched", method="DELETE") == {"405": 1}
