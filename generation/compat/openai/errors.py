"""Errors as OpenAI writes them: `{"error": {"message", "type", "param", "code"}}`, with the statuses that its clients
turn into exceptions of their own."""

from collections.abc import Mapping
from typing import Any, Final

from easel.dialects import Told
from easel.problems import Problem

# Where a client that tried again by itself would do so in vain.
_FINAL: Final = {"x-should-retry": "false"}
_CODES: Final[Mapping[str, tuple[int, str, str]]] = {  # ours → status, type, code
    "token_missing": (401, "invalid_request_error", "invalid_api_key"),
    "token_invalid": (401, "invalid_request_error", "invalid_api_key"),
    "token_expired": (401, "invalid_request_error", "invalid_api_key"),
    "token_replayed": (401, "invalid_request_error", "invalid_api_key"),
    "key_revoked": (401, "invalid_request_error", "invalid_api_key"),
    "insufficient_credits": (429, "insufficient_quota", "insufficient_quota"),
    "spend_cap_reached": (429, "insufficient_quota", "insufficient_quota"),
    "quota_exceeded": (429, "insufficient_quota", "insufficient_quota"),
    "rate_limited": (429, "requests", "rate_limit_exceeded"),
    "too_many_queued": (429, "requests", "rate_limit_exceeded"),
    "content_rejected": (400, "image_generation_user_error", "moderation_blocked"),
}
_RETRIED_IN_VAIN: Final = {"insufficient_quota"}
_UNKNOWN_MODEL: Final = "unknown_model"


def told(problem: Problem) -> Told:
    status, kind, code = _CODES.get(problem.code, (problem.status, _kind(problem.status), problem.code))
    field = problem.errors[0] if problem.errors else None
    if problem.code == "invalid_request" and field is not None:
        code = field.code
        if field.code == _UNKNOWN_MODEL:
            status, code = 404, "model_not_found"
    headers = dict(problem.headers)
    if code in _RETRIED_IN_VAIN or status == 409:
        headers |= _FINAL
    return Told(status, {"error": _error(_said(problem), kind, code, field.field if field else "")}, headers)


def _said(problem: Problem) -> str:
    of = problem.extra.get("generation_id")
    return f"{problem.detail} (generation {of})" if of else problem.detail


def _kind(status: int) -> str:
    return "server_error" if status >= 500 else "invalid_request_error"


def _error(message: str, kind: str, code: str, param: str) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": param or None, "code": code}
