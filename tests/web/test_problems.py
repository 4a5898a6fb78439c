"""Every error of the API has one shape, and every code its one status."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import OperationalError
from django.http import Http404, HttpResponse
from django.http.request import UnreadablePostError
from django.test import RequestFactory, override_settings
from rest_framework import exceptions as drf
from rest_framework import serializers

from easel import problems
from easel.problems import KINDS, FieldError, Problem, answer, invalid
from easel.storage import StorageUnavailable
from easel.strictjson import Malformed

CONTRACT = {
    400: {"invalid_request", "sealed_invalid"},
    401: {"token_missing", "token_invalid", "token_expired", "token_replayed", "key_revoked"},
    402: {"insufficient_credits", "spend_cap_reached"},
    403: {"insufficient_scope", "address_not_allowed", "role_not_allowed", "tenant_suspended"},
    404: {"not_found"},
    405: {"method_not_allowed"},
    406: {"not_acceptable"},
    409: {"idempotency_conflict", "already_finished", "not_appealable", "sealed_replayed"},
    413: {"body_too_large"},
    415: {"unsupported_media_type"},
    416: {"range_not_satisfiable"},
    422: {"content_rejected"},
    429: {"rate_limited", "quota_exceeded", "too_many_queued"},
    500: {"internal_error"},
    503: {"model_unavailable", "overloaded"},
}

# What was raised → the status, the code and the fields that a client gets to see.
TRANSLATIONS: list[tuple[Exception, int, str, list[str]]] = [
    (Problem("quota_exceeded", "500 of 500 images"), 429, "quota_exceeded", []),
    (invalid("steps", "max_value", "150 at most."), 400, "invalid_request", ["steps"]),
    (Malformed("seed", "duplicate_field", "Twice."), 400, "invalid_request", ["seed"]),
    (drf.ValidationError({"steps": ["Too many."]}), 400, "invalid_request", ["steps"]),
    (drf.ValidationError({"images": {"0": {"url": ["Bad."]}}}), 400, "invalid_request", ["images.0.url"]),
    (drf.ValidationError({"loras": [{}, {"weight": ["Bad."]}]}), 400, "invalid_request", ["loras.1.weight"]),
    (drf.ValidationError({"mask": {"non_field_errors": ["Bad."]}}), 400, "invalid_request", ["mask"]),
    (drf.ValidationError("Both or none."), 400, "invalid_request", [""]),
    (drf.ParseError("Bad."), 400, "invalid_request", [""]),
    (UnreadablePostError("gone"), 400, "invalid_request", [""]),
    (drf.NotAuthenticated(), 401, "token_missing", []),
    (drf.AuthenticationFailed(), 401, "token_invalid", []),
    (drf.AuthenticationFailed({"detail": "Expired", "code": "x"}), 401, "token_invalid", []),
    (drf.PermissionDenied(), 403, "insufficient_scope", []),
    (PermissionDenied(), 403, "insufficient_scope", []),
    (drf.NotFound(), 404, "not_found", []),
    (Http404("No Generation matches the given query."), 404, "not_found", []),
    (drf.MethodNotAllowed("PUT"), 405, "method_not_allowed", []),
    (drf.NotAcceptable(), 406, "not_acceptable", []),
    (RequestDataTooBig("x"), 413, "body_too_large", []),
    (drf.UnsupportedMediaType("text/csv"), 415, "unsupported_media_type", []),
    (drf.Throttled(wait=2.2), 429, "rate_limited", []),
    (drf.Throttled(), 429, "rate_limited", []),
    (StorageUnavailable("put t/1"), 503, "overloaded", []),
    (OperationalError("connection to 10.0.0.1 refused"), 503, "overloaded", []),
    (drf.APIException("inner detail"), 500, "internal_error", []),
    (ZeroDivisionError("inner detail"), 500, "internal_error", []),
]


def body(response: HttpResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.content)
    return found


def test_the_table_is_the_published_contract() -> None:
    by_status: dict[int, set[str]] = {}
    for code, kind in KINDS.items():
        by_status.setdefault(kind.status, set()).add(code)
    assert by_status == CONTRACT


@pytest.mark.parametrize(("error", "status", "code", "fields"), TRANSLATIONS, ids=lambda value: repr(value)[:40])
def test_each_exception_becomes_its_problem(error: Exception, status: int, code: str, fields: list[str]) -> None:
    response = answer(error, {})
    told = body(response)
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
    assert (told["status"], told["code"], told["title"]) == (status, code, KINDS[code].title)
    assert told["type"].endswith(f"/docs/errors/{code}")
    assert told["detail"]
    assert [entry["field"] for entry in told.get("errors", [])] == fields
    assert all(entry["code"] and entry["detail"] for entry in told.get("errors", []))
    assert ("errors" in told) == (status == 400)
    assert ("WWW-Authenticate" in response) == (status == 401)


@pytest.mark.parametrize("error", [row[0] for row in TRANSLATIONS if row[1] >= 500 or row[1] == 404], ids=repr)
def test_no_answer_tells_what_an_exception_said_inside(error: Exception) -> None:
    told = answer(error, {}).content.decode()
    for inner in ("inner detail", "10.0.0.1", "put t/1", "Generation matches"):
        assert inner not in told


def test_an_unknown_exception_is_in_the_log_with_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    from django.conf import settings

    from easel import logs

    logs.configure({**settings.LOGGING, "form": "ecs"})
    try:
        answer(ZeroDivisionError("inner detail"), {})
    finally:
        logged = capsys.readouterr().err
        logs.configure(settings.LOGGING)
    line = json.loads(logged.splitlines()[-1])
    assert (line["error.type"], line["error.message"]) == ("ZeroDivisionError", "inner detail")
    assert line["log.level"] == "error"


class Settings(serializers.Serializer[Any]):
    weight = serializers.FloatField(max_value=1)


class Request(serializers.Serializer[Any]):
    prompt = serializers.CharField()
    steps = serializers.IntegerField(min_value=1)
    settings = Settings(many=True)


def test_a_real_serializer_names_nested_fields_with_drfs_codes() -> None:
    serializer = Request(data={"steps": 0, "settings": [{"weight": 0.5}, {"weight": 2}]})
    assert not serializer.is_valid()
    told = body(answer(drf.ValidationError(serializer.errors), {}))
    assert {(entry["field"], entry["code"]) for entry in told["errors"]} == {
        ("prompt", "required"),
        ("steps", "min_value"),
        ("settings.1.weight", "max_value"),
    }
    assert "prompt" in told["detail"]


def test_an_authenticators_challenge_is_kept() -> None:
    error = drf.AuthenticationFailed()
    error.auth_header = 'Bearer realm="easel", error="invalid_token"'  # type: ignore[attr-defined]
    assert answer(error, {})["WWW-Authenticate"] == 'Bearer realm="easel", error="invalid_token"'


def test_a_throttled_client_hears_in_whole_seconds_when_to_come_back() -> None:
    assert answer(drf.Throttled(wait=2.2), {})["Retry-After"] == "3"
    assert "Retry-After" not in answer(drf.Throttled(), {})


def test_every_503_says_when_to_come_back() -> None:
    assert answer(Problem("overloaded"), {})["Retry-After"] == "5"
    assert answer(Problem("overloaded", headers={"Retry-After": "60"}), {})["Retry-After"] == "60"


def test_a_problem_can_carry_more_members_but_they_cannot_replace_the_standing_ones() -> None:
    told = Problem("content_rejected", extra={"generation_id": "gen_1", "code": "other"}).as_dict()
    assert (told["generation_id"], told["code"]) == ("gen_1", "content_rejected")


def test_a_code_outside_the_table_is_a_programmers_error() -> None:
    with pytest.raises(ValueError, match="no_such_code"):
        Problem("no_such_code")


def test_types_are_absolute_where_the_public_address_is_known() -> None:
    with override_settings(BASE_URL="https://easel.example.com/"):
        assert Problem("not_found").as_dict()["type"] == "https://easel.example.com/docs/errors/not_found"


def test_several_fields_are_reported_at_once() -> None:
    errors = [FieldError("steps", "max_value", "150 at most."), FieldError("width", "multiple", "Of 8.")]
    told = Problem("invalid_request", errors=errors).as_dict()
    assert [entry["field"] for entry in told["errors"]] == ["steps", "width"]


@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        ("/v1/nope", "text/html", "application/problem+json"),
        ("/oauth/nope", "text/html", "application/problem+json"),
        ("/nope", "*/*", "application/problem+json"),
        ("/nope", "text/html,*/*", "text/html; charset=utf-8"),
    ],
)
def test_programs_get_json_and_people_a_page(path: str, accept: str, media_type: str) -> None:
    request = RequestFactory().get(path, headers={"accept": accept})
    for response, status in (
        (problems.not_found(request, Http404()), 404),
        (problems.bad_request(request, Exception("<script>")), 400),
        (problems.bad_request(request, RequestDataTooBig()), 413),
        (problems.forbidden(request, PermissionDenied()), 403),
        (problems.server_error(request), 500),
    ):
        assert (response.status_code, response["Content-Type"]) == (status, media_type)
        assert b"<script>" not in response.content
