"""Errors as Replicate writes them: problem details (RFC 7807) with `title`, `status`, `detail`."""

from easel.dialects import MEDIA_TYPE, Told
from easel.problems import Problem
from easel.requests import current_request_id


def told(problem: Problem) -> Told:
    status, title, detail = problem.status, problem.as_dict()["title"], problem.detail
    invalid = []
    if problem.code == "invalid_request" and any(each.field for each in problem.errors):
        status, title = 422, "Input validation failed"
        detail = "".join(f"- {each.field}: {each.detail}\n" for each in problem.errors)
        invalid = [{"field": each.field, "type": each.code, "description": each.detail} for each in problem.errors]
    body = {
        "type": problem.as_dict()["type"],
        "title": title,
        "status": status,
        "detail": detail,
        "instance": current_request_id(),
        **({"invalid_fields": invalid} if invalid else {}),
    }
    return Told(status, body, problem.headers, MEDIA_TYPE)
