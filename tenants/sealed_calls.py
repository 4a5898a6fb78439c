"""Sealed requests and answers of the API: a parser that opens them, and a middleware that seals what goes back.

A sealed request is answered sealed. `Easel-Seal: 1` asks for a sealed answer to a request that has no body. The
access token travels beside the sealed body as always; the seal's key must be the token's.
"""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from easel import problems, sealed_call
from easel.crypto import ALGORITHMS, TamperedSeal
from easel.problems import Problem, StrictJSONParser
from easel.sealed_call import MEDIA_TYPE, Envelope
from tenants import replay
from tenants.keys import KeyRecord
from tenants.tokens import Principal

WINDOW_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Opened:
    """What the answer needs to know of the sealed request."""

    secret: bytes = field(repr=False)
    version: int
    nonce: bytes


class SealedParser(BaseParser):
    """Opens the body, refuses it a second time, and hands it to the JSON parser."""

    media_type = MEDIA_TYPE

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        request: Request = parser_context["request"]
        principal = request.user
        if not isinstance(principal, Principal):
            raise Problem("sealed_invalid", "A sealed request needs an access token of the same API key.")
        timestamp = _timestamp(request)
        plaintext, opened = _open(stream.read(), request, principal.key, timestamp)
        good_until = int(timestamp) + WINDOW_SECONDS + 1
        if not replay.spend(principal.key, f"sealed:{opened.nonce.hex()}", good_until=good_until):
            raise Problem("sealed_replayed", "This sealed request was received before. Seal each attempt anew.")
        request._request.sealed_request = opened
        if not plaintext:
            return {}  # as a request without a body
        return StrictJSONParser().parse(io.BytesIO(plaintext), "application/json", parser_context)


class Opener(BaseThrottle):
    """Opens a sealed request before its view is asked, and once it is counted: one over the rate stays shut. A view
    that has no use for a body would take it unopened, a second time too, and answer under a seal that its client
    cannot open."""

    def allow_request(self, request: Request, view: Any) -> bool:
        over = any(usage.exceeded for usage in getattr(request._request, "rate_limits", ()))
        if _is_sealed(request._request) and not over:
            request.data  # noqa: B018
        return True

    def wait(self) -> None:
        return None


class SealAnswers:
    """Innermost of all middleware: what a view answers, errors too, is sealed before anything else sees it. Only why a
    request was not opened is said in clear."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        principal: object = getattr(request, "user", None)
        opened = hasattr(request, "sealed_request")
        asked = request.headers.get("Easel-Seal") == "1" or opened or _is_sealed(request)
        if _is_sealed(request) and not opened and response.status_code >= 400:
            asked = False  # it says why the request was not opened; there is nothing of its content to hide
        if not asked or not isinstance(principal, Principal):
            return response
        if not isinstance(response, HttpResponse):
            said = "This answer is streamed, and cannot be sealed. Ask for it without Easel-Seal."
            response = problems.response(Problem("not_acceptable", said), request.path)
        return _sealed(request, response, principal)


def _open(sealed: bytes, request: Request, key: KeyRecord, timestamp: str) -> tuple[bytes, Opened]:
    try:
        envelope = Envelope.read(sealed)
        if envelope.key_id != key.public_id:
            raise Problem("sealed_invalid", "The body is sealed for another API key than the token's.")
        authenticated = sealed_call.request_data(
            method=str(request.method), path=request.get_full_path(), key_id=key.public_id, timestamp=timestamp
        )
        for secret in key.secrets:
            try:
                plaintext = envelope.open(secret, authenticated, direction="request")
            except TamperedSeal:
                continue
            return plaintext, Opened(secret, envelope.version, envelope.nonce)
    except TamperedSeal as error:
        raise Problem("sealed_invalid", str(error)) from error
    raise Problem("sealed_invalid", "The body does not open: altered, or sealed for another method, path or time.")


def _timestamp(request: Request) -> str:
    """As it was sent: it is authenticated as text."""
    timestamp = request.headers.get("Easel-Timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise Problem("sealed_invalid", "Easel-Timestamp must be the time of sealing, in whole seconds since 1970.")
    if abs(time.time() - int(timestamp)) > WINDOW_SECONDS:
        raise Problem("sealed_invalid", "Easel-Timestamp is more than five minutes from our time.")
    return timestamp


def _sealed(request: HttpRequest, response: HttpResponse, principal: Principal) -> HttpResponse:
    opened: Opened | None = getattr(request, "sealed_request", None)
    key = principal.key
    if hasattr(response, "continuation"):
        del response.continuation  # it would answer in clear, later: a sealed call is answered at once
    content_type, timestamp = response.headers.get("Content-Type", ""), str(int(time.time()))
    authenticated = sealed_call.answer_data(
        method=str(request.method), path=request.get_full_path(), key_id=key.public_id, timestamp=timestamp,
        status=response.status_code, content_type=content_type, request_nonce=opened.nonce if opened else b"",
    )  # fmt: skip
    envelope = sealed_call.seal(
        response.content,
        opened.secret if opened else principal.secret or key.secret,  # while a rotation overlaps, two are good
        authenticated,
        direction="answer",
        version=opened.version if opened else ALGORITHMS["sm4-gcm"],
        key_id=key.public_id,
    )
    response.content = envelope.packed
    response["Content-Type"], response["Easel-Content-Type"] = MEDIA_TYPE, content_type
    response["Easel-Timestamp"] = timestamp
    response["Cache-Control"] = "no-store"
    if response.has_header("Content-Length"):
        response["Content-Length"] = str(len(response.content))
    return response


def _is_sealed(request: HttpRequest) -> bool:
    return (request.content_type or "") == MEDIA_TYPE
