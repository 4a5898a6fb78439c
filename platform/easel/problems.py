"""Every API error, as RFC 9457 problem details. KINDS is the contract: a code, its status, its title."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _  # a problem's title is English for programs
from rest_framework import exceptions as drf

from easel import dialects, metrics
from easel.dialects import MEDIA_TYPE, Told
from easel.key_providers import KeyProviderUnavailable
from easel.requests import current_request_id
from easel.storage_errors import ObjectMissing, StorageLeftAlone, StorageUnavailable
from easel.strictjson import FieldError, Malformed, StrictJSONParser

__all__ = ["KINDS", "MEDIA_TYPE", "FieldError", "Problem", "StrictJSONParser", "answer", "invalid", "response"]

CHALLENGE: Final = 'Bearer realm="easel"'
MOST_ERRORS: Final = 100  # that an answer tells of: a body of thousands of wrong values is as wrong
RETRY_SECONDS: Final = 5  # what a 503 asks for when nobody knows better
API_PATHS: Final = ("/v1/", "/oauth/", "/.well-known/", "/openapi.json", "/readyz")

NOTHING: Final = _("There is nothing here, or it is not yours.")

logger = structlog.get_logger("easel.problems")


@dataclass(frozen=True, slots=True)
class Kind:
    status: int
    title: str


KINDS: Final[Mapping[str, Kind]] = {
    "invalid_request": Kind(400, _("The request is not valid")),
    "sealed_invalid": Kind(400, _("The sealed request does not open")),
    "token_missing": Kind(401, _("An access token is needed")),
    "token_invalid": Kind(401, _("The access token is not valid")),
    "token_expired": Kind(401, _("The access token has expired")),
    "token_replayed": Kind(401, _("The access token was used before")),
    "key_revoked": Kind(401, _("The API key was revoked")),
    "insufficient_credits": Kind(402, _("Not enough credits")),
    "spend_cap_reached": Kind(402, _("The API key has reached its spend cap")),
    "insufficient_scope": Kind(403, _("The API key may not do this")),
    "role_not_allowed": Kind(403, _("Your role may not do this")),
    "address_not_allowed": Kind(403, _("The API key may not be used from here")),
    "tenant_suspended": Kind(403, _("The account is suspended")),
    "not_found": Kind(404, _("Not found")),
    "method_not_allowed": Kind(405, _("The method is not allowed here")),
    "not_acceptable": Kind(406, _("No representation that the client accepts")),
    "idempotency_conflict": Kind(409, _("The idempotency key belongs to another request")),
    "not_appealable": Kind(409, _("There is nothing to appeal")),
    "already_finished": Kind(409, _("Already finished")),
    "sealed_replayed": Kind(409, _("The sealed request was received before")),
    "body_too_large": Kind(413, _("The body is too large")),
    "range_not_satisfiable": Kind(416, _("The file has no such range")),
    "unsupported_media_type": Kind(415, _("The media type is not supported")),
    "content_rejected": Kind(422, _("The content was rejected")),
    "rate_limited": Kind(429, _("Too many requests")),
    "quota_exceeded": Kind(429, _("The quota is used up")),
    "too_many_queued": Kind(429, _("Too many generations are waiting")),
    "internal_error": Kind(500, _("Something went wrong on our side")),
    "model_unavailable": Kind(503, _("The model is not available")),
    "overloaded": Kind(503, _("Not now")),
}


class Problem(Exception):
    """An error a client is told about. `code` is one of KINDS; `extra` adds members like `generation_id`. One that is
    `rehearsed` was asked for, and is no failure of ours."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        rehearsed: bool = False,
    ) -> None:
        if code not in KINDS:
            raise ValueError(f"{code!r} is no code of easel.problems.KINDS.")
        super().__init__(detail or KINDS[code].title)
        self.code = code
        self.detail = detail or KINDS[code].title
        self.status = status or KINDS[code].status
        self.headers = {**_standing_headers(self.status), **(headers or {})}
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.rehearsed = rehearsed

    def as_dict(self) -> dict[str, Any]:
        body = {
            "type": f"{settings.BASE_URL.rstrip('/')}/docs/errors/{self.code}",
            "title": KINDS[self.code].title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "instance": current_request_id(),
        }
        if self.status == 400 or self.errors:
            body["errors"] = [asdict(error) for error in self.errors]
        return {**self.extra, **body}


def invalid(field: str, code: str, detail: str) -> Problem:
    """A 400 for one field; a dotted path names a nested one, and an empty name means the whole request."""
    said = f"{field}: {detail}" if field else detail
    return Problem("invalid_request", said, errors=[FieldError(field, code, detail)])


def storage_away(error: StorageUnavailable) -> Problem:
    """A 503 that says when the store will be asked again, if that is known."""
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, StorageLeftAlone) else None
    return Problem("overloaded", "The image store does not answer. Try again.", headers=headers)


def response(problem: Problem, path: str = "") -> HttpResponse:
    """The answer, whatever renderers a view has: an image endpoint reports its errors as JSON too."""
    written = told(problem, path)
    answered = HttpResponse(
        json.dumps(written.body), status=written.status, content_type=written.media_type, headers=dict(written.headers)
    )
    answered.problem = problem  # type: ignore[attr-defined]  # for AnswerProblems
    return answered


def answer(exc: Exception, context: Mapping[str, Any] | None = None) -> HttpResponse:
    """DRF's exception handler: every exception ends here, and none of them leaks what it says inside."""
    problem = as_problem(exc)
    _log_failure(problem, exc)
    request = (context or {}).get("request")
    return _logged(response(problem, request.path if request is not None else ""))


def tell(exc: Exception, path: str) -> Told:
    """The same for an answer that is made after its view has returned."""
    problem = as_problem(exc)
    _log_failure(problem, exc)
    return told(problem, path)


def told(problem: Problem, path: str) -> Told:
    """As the dialect of that path writes it, and counted: for an answer that is about to be sent."""
    _count(problem)
    return dialects.told(problem, path)


def as_problem(exc: Exception) -> Problem:
    if isinstance(exc, Problem):
        return exc
    for kind, translate in _TRANSLATIONS:
        if isinstance(exc, kind):
            return translate(exc)
    return Problem("internal_error", "The error was recorded. Tell us the request id if it stays.")


class AnswerProblems:
    """Middleware for views outside DRF: a raised Problem is answered as one, and so is a bare 405."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path:
            return page(request, as_problem(Http404()))  # no name has one, and Postgres cannot even look for it
        if "%00" in request.META.get("QUERY_STRING", ""):
            field = next((name for name, value in request.GET.items() if "\0" in value), "")
            return page(request, invalid(field, "invalid", "A parameter holds no U+0000."))
        answered = self.get_response(request)
        if answered.status_code == 405 and not hasattr(answered, "problem"):
            return page(request, _not_allowed(str(request.method), answered.get("Allow", "")))
        return answered

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Problem | StorageUnavailable | OperationalError):
            return None  # Django's own way, which ends in the handlers below
        problem = as_problem(exception)
        _log_failure(problem, exception)
        return _logged(page(request, problem))


def wants_json(request: HttpRequest) -> bool:
    programs = request.path.startswith(API_PATHS) or dialects.spoken(request.path)
    return programs or "text/html" not in request.headers.get("Accept", "")


# --- The handlers that the URL confs name: what happens before or outside of any view ---------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return page(request, as_problem(exception))
    return page(request, Problem("invalid_request", "The request could not be understood."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, as_problem(PermissionDenied()))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, as_problem(Http404()))


def server_error(request: HttpRequest) -> HttpResponse:
    return page(request, as_problem(Exception()))


def page(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem as JSON for programs, as a page for people."""
    if wants_json(request):
        return response(problem, request.path)
    _count(problem)
    try:
        text: str = render_to_string("errors/problem.html", _words(problem), request)
    except Exception:  # the page of an error must not be the next error: what is wrong may be the templates
        logger.exception("the page of an error was not rendered", **{"error.code": problem.code})
        text = _bare(problem)
    return HttpResponse(text, status=problem.status, headers=problem.headers)


def _words(problem: Problem) -> dict[str, Any]:
    detail = gettext(problem.detail) if problem.detail else ""
    return {
        "title": gettext(KINDS[problem.code].title),
        "detail": detail,
        "detail_in_english": detail == problem.detail,
        "status": problem.status,
        "code": problem.code,
        "errors": problem.errors,
        "request_id": current_request_id(),
    }


def _bare(problem: Problem) -> str:
    title, detail = escape(KINDS[problem.code].title), escape(problem.detail)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1><p>{detail}</p><p><small>{escape(current_request_id())}</small></p></html>"
    )


# --- What other people's exceptions mean here -------------------------------------------------------------


def _validation(exc: drf.ValidationError) -> Problem:
    errors = list(islice(_fields(exc.detail, ""), MOST_ERRORS))
    named = ", ".join(dict.fromkeys(error.field for error in errors if error.field))
    detail = f"Check these fields: {named}." if named else " ".join(error.detail for error in errors)
    return Problem("invalid_request", detail, errors=errors)


def _fields(detail: Any, path: str) -> Iterator[FieldError]:
    """DRF nests lists and dicts as the input was nested; a field is named by its path, `images.0.url`."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = path if name in {"non_field_errors", "__all__"} else f"{path}.{name}".lstrip(".")
            yield from _fields(inner, own)
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list | tuple)
            yield from _fields(inner, f"{path}.{index}".lstrip(".") if nested else path)
    else:
        yield FieldError(path, str(getattr(detail, "code", None) or "invalid"), str(detail))


def _unauthenticated(exc: drf.APIException) -> Problem:
    code = "token_missing" if isinstance(exc, drf.NotAuthenticated) else "token_invalid"
    challenge = getattr(exc, "auth_header", None)
    return Problem(code, _said(exc), headers={"WWW-Authenticate": challenge} if challenge else None)


def _throttled(exc: drf.Throttled) -> Problem:
    wait: float | None = getattr(exc, "wait", None)  # DRF's stubs do not know it
    if wait is None:
        return Problem("rate_limited")
    seconds = max(1, math.ceil(wait))
    return Problem("rate_limited", f"Try again in {seconds} s.", headers={"Retry-After": str(seconds)})


def _not_allowed(method: str, allow: str) -> Problem:
    said = f"{method} is not allowed here; {allow} is." if allow else f"{method} is not allowed here."
    return Problem("method_not_allowed", said, headers={"Allow": allow} if allow else None)


def _too_big(exc: RequestDataTooBig) -> Problem:
    return Problem("body_too_large", f"A body may have {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes at most.")


def _too_many(what: str, most: int) -> Problem:
    return invalid("", f"too_many_{what}", f"A query or a form has at most {most} {what}.")


def _lost(exc: ObjectMissing) -> Problem:
    logger.error("storage.object_lost", error=str(exc))
    return Problem("not_found", "The file is not in the object store any more.")


def _other(exc: drf.APIException) -> Problem:
    """An APIException of somebody else's: its status is kept, its text only below 500."""
    if exc.status_code >= 500:
        return Problem("overloaded" if exc.status_code == 503 else "internal_error")
    return Problem("invalid_request", _said(exc), status=exc.status_code)


def _said(exc: drf.APIException) -> str:
    detail: Any = exc.detail
    if isinstance(detail, Mapping):  # simplejwt's exceptions carry {"detail", "code", "messages"}
        detail = detail.get("detail", "")
    return detail if isinstance(detail, str) else ""


_TRANSLATIONS: Final[Sequence[tuple[type[Exception], Callable[[Any], Problem]]]] = (
    (Malformed, lambda exc: invalid(exc.error.field, exc.error.code, exc.error.detail)),
    (drf.ValidationError, _validation),
    (drf.NotAuthenticated, _unauthenticated),
    (drf.AuthenticationFailed, _unauthenticated),
    (drf.PermissionDenied, lambda exc: Problem("insufficient_scope", _said(exc))),
    (PermissionDenied, lambda _: Problem("insufficient_scope")),
    (drf.NotFound, lambda exc: Problem("not_found", _said(exc))),
    # Django's own text names the model; what is not yours must look like what is not there.
    (Http404, lambda _: Problem("not_found", NOTHING)),
    (drf.MethodNotAllowed, lambda exc: Problem("method_not_allowed", _said(exc))),
    (drf.NotAcceptable, lambda exc: Problem("not_acceptable", _said(exc))),
    (drf.UnsupportedMediaType, lambda _: Problem("unsupported_media_type", "Send application/json.")),
    (drf.Throttled, _throttled),
    (drf.ParseError, lambda exc: invalid("", "parse_error", _said(exc))),
    (drf.APIException, _other),
    (RequestDataTooBig, _too_big),
    (TooManyFieldsSent, lambda _: _too_many("fields", settings.DATA_UPLOAD_MAX_NUMBER_FIELDS)),
    (TooManyFilesSent, lambda _: _too_many("files", settings.DATA_UPLOAD_MAX_NUMBER_FILES)),
    (UnreadablePostError, lambda _: invalid("", "incomplete", "The body ended before its length.")),
    (KeyProviderUnavailable, lambda _: Problem("overloaded", "The keys cannot be reached; try again.")),
    (ObjectMissing, _lost),
    (StorageUnavailable, storage_away),
    (OperationalError, lambda _: Problem("overloaded", "The database does not answer; try again.")),
)


def _count(problem: Problem) -> None:
    if not problem.rehearsed:
        metrics.PROBLEMS.labels(problem.code).inc()


def _log_failure(problem: Problem, cause: Exception) -> None:
    if problem.status >= 500 and not problem.rehearsed:
        logger.error("the request failed", exc_info=cause, **{"error.code": problem.code})


def _logged(answered: HttpResponse) -> HttpResponse:
    """Its cause is in the log, or it is the client's own mistake: Django need not log it a second time."""
    answered._has_been_logged = True  # type: ignore[attr-defined]
    return answered


def _standing_headers(status: int) -> dict[str, str]:
    """What HTTP asks every answer of this status to have, unless the one who raises it knows better."""
    if status == 401:
        return {"WWW-Authenticate": CHALLENGE}
    return {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
