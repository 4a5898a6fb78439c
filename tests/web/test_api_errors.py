"""Whatever goes wrong under `/v1` and `/oauth` is a problem with a code, and says where its caller stands."""

import re
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from django.test import Client, RequestFactory
from rest_framework.test import APIClient
from rest_framework.views import APIView

from easel.versions import ApiVersion, Deprecated
from tests.cast import Customer

ANY = "0193a3c0-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "code"),
    [
        ("get", "/v1/nothing", {}, None, 404, "not_found"),
        ("get", "/v1/generations/", {}, None, 404, "not_found"),
        ("get", "/v1/generations/%00", {}, None, 404, "not_found"),
        ("get", "/v1/generations/%ff%fe", {}, None, 404, "not_found"),
        ("get", "/v1/keys/%00", {}, None, 404, "not_found"),
        ("get", f"/v1/generations/{ANY}", {}, None, 404, "not_found"),
        ("delete", "/v1/models", {}, None, 405, "method_not_allowed"),
        ("put", "/v1/generations", {}, "{}", 405, "method_not_allowed"),
        ("options", "/v1/generations", {}, None, 405, "method_not_allowed"),
        ("get", "/v1/models", {"Accept": "text/csv"}, None, 406, "not_acceptable"),
        ("get", f"/v1/generations/{ANY}/events", {"Accept": "application/json"}, None, 406, "not_acceptable"),
        ("post", "/v1/generations", {"Content-Type": "text/plain"}, "hello", 415, "unsupported_media_type"),
        ("post", "/v1/quotes", {"Content-Type": "application/xml"}, "<a/>", 415, "unsupported_media_type"),
        ("post", "/v1/generations", {}, "{", 400, "invalid_request"),
        ("post", "/v1/generations", {}, "", 400, "invalid_request"),
        ("post", "/v1/generations", {}, "[]", 400, "invalid_request"),
        ("post", "/v1/generations", {}, '{"prompt": "a", "prompt": "b"}', 400, "invalid_request"),
        ("post", "/v1/generations", {}, b'{"prompt": "\xff"}', 400, "invalid_request"),
        ("post", "/v1/generations", {}, '{"prompt": NaN}', 400, "invalid_request"),
        ("post", "/v1/webhooks", {}, '{"url": "x"}', 400, "invalid_request"),
        ("get", "/v1/generations?model=a%00b", {}, None, 400, "invalid_request"),
        ("get", "/v1/allowances?x=%00", {}, None, 400, "invalid_request"),
        ("get", "/v1/usage?from=yesterday", {}, None, 400, "invalid_request"),
        ("get", "/v1/generations?limit=many", {}, None, 400, "invalid_request"),
        ("get", "/v1/generations?format=csv", {}, None, 400, "invalid_request"),
        ("get", "/v1/models?" + "x=1&" * 1001, {}, None, 400, "invalid_request"),
    ],
)
def test_a_mistake_is_a_problem_with_its_code(
    ada: Customer, method: str, path: str, headers: dict[str, str], body: Any, status: int, code: str
) -> None:
    content_type = headers.pop("Content-Type", "application/json")
    answer = ada.client().generic(method.upper(), path, body or "", content_type=content_type, headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content
    told = answer.json()
    assert (told["code"], told["status"], told["instance"]) == (code, status, answer["X-Request-ID"])
    assert Client().get(re.sub(r"^https?://[^/]+", "", told["type"])).status_code == 200


@pytest.mark.parametrize("path", ["/v1/generations", f"/v1/generations/{ANY}/events", "/v1/events", "/v1/webhooks"])
def test_without_a_token_every_call_is_the_same_401(path: str) -> None:
    answer = APIClient().get(path)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/oauth/nothing", "/oauth/token", "/.well-known/nothing"])
def test_errors_outside_of_drf_are_problems_too(path: str) -> None:
    answer = Client().get(path, headers={"accept": "text/html"})
    assert answer.status_code in {404, 405}
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/nothing", "/oauth/token"])
def test_every_answer_names_the_apis_version(ada: Customer, path: str) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", ada.client().get(path)["Easel-Version"])


# draft-ietf-httpapi-ratelimit-headers-10: lists of strings with parameters, as RFC 8941 writes them.
ITEM = r'"[a-z-]+"(?:;[a-z]+=\d+)+'


def test_every_limited_answer_says_where_its_caller_stands(ada: Customer) -> None:
    for answer in (
        ada.client().get("/v1/models"),
        ada.client().get(f"/v1/generations/{ANY}"),
        ada.client().post("/v1/generations", {}, format="json"),
    ):
        assert re.fullmatch(rf"{ITEM}(?:, {ITEM})*", answer["RateLimit"])
        assert re.fullmatch(rf"{ITEM}(?:, {ITEM})*", answer["RateLimit-Policy"])
        assert {"r", "t"} == set(re.findall(r";([a-z]+)=", answer["RateLimit"]))
        assert {"q", "w"} == set(re.findall(r";([a-z]+)=", answer["RateLimit-Policy"]))
        assert int(answer["X-RateLimit-Remaining"]) < int(answer["X-RateLimit-Limit"])
        assert int(answer["X-RateLimit-Reset"]) > 1_700_000_000


def test_what_will_go_away_says_so_in_headers() -> None:
    class Old(APIView):
        deprecated: ClassVar = Deprecated(
            datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), "https://example.org/why"
        )

    request = RequestFactory().get("/v1/old")

    class Match:
        func = Old.as_view()

    request.resolver_match = Match()  # type: ignore[assignment]
    from django.http import HttpResponse

    answer = ApiVersion(lambda _: HttpResponse())(request)
    assert answer["Deprecation"] == "@1767225600"
    assert answer["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
    assert answer["Link"].startswith("<https://example.org/why>; rel=")
