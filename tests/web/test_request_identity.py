"""Every answer names its request, and the client's address is the one that our own proxies saw."""

import re
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings

from easel import metrics
from easel.requests import RequestIdentity, begin, client_address, current_request_id

NEW = re.compile(r"req_[0-9a-f]{32}")


@pytest.mark.parametrize("offered", ["a", "req_1", "A.b-C_9", "x" * 128])
def test_a_sane_request_id_is_taken_up(offered: str) -> None:
    response = Client().get("/v1/nope", headers={"x-request-id": offered})
    assert response["X-Request-ID"] == offered
    assert response.json()["instance"] == offered


@pytest.mark.parametrize("offered", [None, "", "x" * 129, "a b", "a,b", "ä", "<script>", 'a"b', "a/b"])
def test_a_strange_one_is_replaced(offered: str | None) -> None:
    headers = {} if offered is None else {"x-request-id": offered}
    response = Client().get("/v1/nope", headers=headers)
    assert NEW.fullmatch(response["X-Request-ID"])
    assert response.json()["instance"] == response["X-Request-ID"]


def test_no_two_requests_share_an_id() -> None:
    assert len({begin(None) for _ in range(100)}) == 100


def test_a_failure_of_ours_names_its_request_too() -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        assert current_request_id() == "mine"
        return HttpResponse(status=500)

    response = RequestIdentity(fail)(RequestFactory().get("/", headers={"x-request-id": "mine"}))
    assert response["X-Request-ID"] == "mine"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, None, "10.0.0.9"),
        (0, "1.1.1.1", "10.0.0.9"),  # nobody of ours wrote it
        (1, "1.1.1.1", "1.1.1.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),  # the client added the first itself
        (2, "6.6.6.6, 1.1.1.1, 10.0.0.8", "1.1.1.1"),
        (2, "1.1.1.1", "1.1.1.1"),
        (1, None, "10.0.0.9"),
        (1, "", "10.0.0.9"),
        (1, "1.1.1.1:4711", "1.1.1.1"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "2001:DB8:0::1", "2001:db8::1"),
        (1, "::ffff:1.1.1.1", "1.1.1.1"),
        (1, "unknown", "10.0.0.9"),
        (1, "1.1.1.1; DROP TABLE", "10.0.0.9"),
    ],
)
def test_the_address_is_counted_from_our_own_proxies(proxies: int, forwarded: str | None, seen: str) -> None:
    extra: dict[str, Any] = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.9", **extra)
    with override_settings(NUM_PROXIES=proxies):
        assert client_address(request) == seen


def count(method: str, route: str, status: int) -> float:
    counted: float = metrics.REQUESTS.labels(method, route, str(status))._value.get()
    return counted


def test_requests_are_counted_by_template_and_known_method() -> None:
    before = [count("GET", "readyz", 405), count("POST", "readyz", 405), count("OTHER", "readyz", 405)]
    Client().post("/readyz")
    Client().generic("BREW", "/readyz")
    after = [count("GET", "readyz", 405), count("POST", "readyz", 405), count("OTHER", "readyz", 405)]
    assert [new - old for new, old in zip(after, before, strict=True)] == [0, 1, 1]


def test_paths_that_lead_nowhere_share_one_label() -> None:
    before = count("GET", "unmatched", 404)
    for index in range(3):
        Client().get(f"/v1/nope/{index}")
    assert count("GET", "unmatched", 404) - before == 3
