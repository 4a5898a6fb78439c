"""Errors as AUTOMATIC1111's server (FastAPI) writes them: `{"detail": …}`, a list with places for fields."""

from typing import Any, Final

from easel.dialects import Told
from easel.problems import Problem
from easel.strictjson import FieldError

CHALLENGE: Final = 'Basic realm="easel"'


def told(problem: Problem) -> Told:
    headers = dict(problem.headers)
    if "WWW-Authenticate" in headers:
        headers["WWW-Authenticate"] = CHALLENGE
    if problem.code == "invalid_request" and problem.errors:
        return Told(422, {"error": problem.code, "detail": [_place(each) for each in problem.errors]}, headers)
    return Told(problem.status, {"error": problem.code, "detail": problem.detail, "body": "", "errors": ""}, headers)


def _place(error: FieldError) -> dict[str, Any]:
    where = [int(part) if part.isascii() and part.isdigit() else part for part in error.field.split(".") if part]
    return {"loc": ["body", *where], "msg": error.detail, "type": error.code}
