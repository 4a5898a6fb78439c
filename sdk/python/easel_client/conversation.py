"""One call to Easel with all that may happen on its way: tokens that expire, answers that do not come, servers that ask
for patience. It knows no sockets and no clock of its own; what it needs of the outside it yields (`effects.py`)."""

from __future__ import annotations

import json
import math
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from easel_client import errors, sealing
from easel_client._version import __version__
from easel_client.breaker import CircuitBreaker
from easel_client.effects import Broken, Reply, Request, Send, Sleep, Steps
from easel_client.policy import RetryPolicy, Timeouts
from easel_client.tokens import Token, Tokens

JSON = "application/json"
EVENTS = "text/event-stream"
_TROUBLE = {500, 502, 503, 504}  # of the server, not of the request
_WORTH_ANOTHER = _TROUBLE | {408, 425, 429}
NEW_TOKENS = 3  # that may be refused as expired at their first use, before one call gives up
_NOT_BEGUN = {429, 503}  # Easel answers so before it does anything


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = field(default=None, repr=False)  # JSON
    content: bytes | None = field(default=None, repr=False)  # anything else, with its type
    content_type: str = ""
    accept: str = JSON
    wait: int = 0  # Prefer: wait
    idempotency_key: str = ""
    repeatable: bool = True  # False where doing it twice would make two of it
    signed_in: bool = True
    stream: bool = False
    silence: float = math.inf  # seconds that a stream may be silent, if that is less than the client allows
    last_event_id: str = ""

    @property
    def target(self) -> str:
        given = {name: str(value) for name, value in self.query.items() if value is not None}
        return f"{self.path}?{urlencode(given)}" if given else self.path


@dataclass
class Session:
    """What all calls of a client share."""

    key_id: str
    secret: str = field(repr=False)
    tokens: Tokens
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    sealer: sealing.Sealer | None = None
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random


@dataclass
class _Attempt:
    request: Request
    token: Token | None
    nonce: bytes = b""


def converse(session: Session, call: Call, *, deadline: float | None = None) -> Steps[Reply]:
    """The good answer to a call, after as many attempts as it takes. Raises what `errors` has for everything else."""
    return (yield from _Conversation(session, call, deadline).run())


class _Conversation:
    def __init__(self, session: Session, call: Call, deadline: float | None) -> None:
        self._session, self._call = session, call
        own = session.clock() + session.retry.patience
        self._deadline = own if deadline is None else min(own, deadline)
        self._request_id = f"ec-{uuid.uuid4().hex}"
        self._new_tokens_refused = 0
        self._maybe_done = False

    def run(self) -> Steps[Reply]:
        try:
            return (yield from self._answer())
        except errors.EaselError as error:
            error.maybe_done = self._maybe_done
            raise

    def _answer(self) -> Steps[Reply]:
        number = 0
        while True:
            token = yield from self._admitted()
            number += 1
            attempt = self._prepared(token)
            outcome = yield Send(attempt.request, stream=self._call.stream)
            self._maybe_done |= _maybe_done(outcome)
            if isinstance(outcome, Reply) and outcome.good:
                self._note(outcome, attempt.token)
                return self._opened(outcome, attempt)
            error = self._error(outcome, attempt)
            self._note(outcome, attempt.token, error)
            if self._another_token_helps(error, attempt):
                continue
            yield Sleep(self._pause(error, outcome, number))

    def _admitted(self) -> Steps[Token | None]:
        """Returns as soon as something may be sent, with the token for it. The token comes first: asking for one is a
        call of its own, which an open circuit must let through where it has let nothing else through."""
        session, breaker = self._session, self._session.breaker
        while True:
            token = (yield from self._token()) if self._call.signed_in else None
            seconds = breaker.ask()
            if seconds <= 0:
                return token
            if breaker.fail_fast or session.clock() + seconds > self._deadline:
                raise errors.CircuitOpen(seconds)
            yield Sleep(seconds)

    def _token(self) -> Steps[Token]:
        left = max(0.0, self._deadline - self._session.clock())
        return self._session.tokens.take(self._fetch_token, patience=left)

    def _prepared(self, token: Token | None) -> _Attempt:
        call, session = self._call, self._session
        headers = {
            "User-Agent": f"easel-client/{__version__}",
            "Accept": call.accept,
            "X-Request-ID": self._request_id,
        }
        if token is not None:
            headers["Authorization"] = f"Bearer {token.text}"
        if call.idempotency_key:
            headers["Idempotency-Key"] = call.idempotency_key
        wait = 0 if session.sealer else call.wait  # a held answer is not sealed
        if wait:
            headers["Prefer"] = f"wait={wait}"
        if call.last_event_id:
            headers["Last-Event-ID"] = call.last_event_id
        content = call.content if call.body is None else json.dumps(call.body).encode()
        if content is not None:
            headers["Content-Type"] = call.content_type if call.body is None else JSON
        longest = min(session.timeouts.events, call.silence) if call.stream else session.timeouts.read + wait
        request = Request(call.method, call.target, headers, content, longest)
        return self._sealed(_Attempt(request, token)) if session.sealer and call.signed_in else _Attempt(request, token)

    def _sealed(self, attempt: _Attempt) -> _Attempt:
        request, sealer = attempt.request, self._session.sealer
        if sealer is None or request.method == "DELETE":
            return attempt  # nothing is said but the id, and nothing is answered
        timestamp = str(int(self._session.now()))
        headers = {**request.headers, "Easel-Timestamp": timestamp}
        if request.content is None:
            headers["Easel-Seal"] = "1"
            return replace(attempt, request=replace(request, headers=headers))
        content, nonce = sealer.seal(request.method, request.path, request.content, timestamp=timestamp)
        headers["Content-Type"] = sealing.MEDIA_TYPE
        return _Attempt(replace(request, headers=headers, content=content), attempt.token, nonce)

    def _opened(self, reply: Reply, attempt: _Attempt) -> Reply:
        """The answer in clear. What succeeded under seal must have been answered under seal."""
        sealer, request = self._session.sealer, attempt.request
        if sealer is None or not {"Easel-Seal", "Easel-Timestamp"} & request.headers.keys():
            return reply
        if reply.headers.get("content-type") != sealing.MEDIA_TYPE:
            if reply.good:
                raise errors.NotSealed("The answer should have been sealed. Something on the way took its place.")
            return reply  # why a request was not opened comes in clear
        content_type = reply.headers.get("easel-content-type", "")
        content = sealer.open(
            reply.content,
            method=request.method,
            path=request.path,
            timestamp=reply.headers.get("easel-timestamp", ""),
            status=reply.status,
            content_type=content_type,
            nonce=attempt.nonce,
        )
        return replace(reply, headers={**reply.headers, "content-type": content_type}, content=content)

    def _note(self, outcome: Reply | Broken, token: Token | None, error: errors.EaselError | None = None) -> None:
        """What is learned of the token and the server. 429 says that it is well; a model that is away is not it."""
        if token is not None and isinstance(outcome, Reply) and outcome.status != 401 and outcome.status < 500:
            token.worked = True
        if isinstance(outcome, Broken):
            if not outcome.ours:
                self._session.breaker.failed()
        elif outcome.status in _TROUBLE and not isinstance(error, errors.ModelUnavailable):
            self._session.breaker.failed()
        else:
            self._session.breaker.succeeded()

    def _error(self, outcome: Reply | Broken, attempt: _Attempt) -> errors.EaselError:
        if isinstance(outcome, Reply):
            if outcome.status < 400:
                return self._led_elsewhere(outcome)
            return error_of(self._opened(outcome, attempt), self._session.now())
        said = f"{self._call.method} {self._call.path}: {outcome.error or type(outcome.error).__name__}"
        kind = errors.TimedOut if outcome.timed_out else errors.ConnectionFailed
        error = kind(said)
        error.__cause__ = outcome.error
        return error

    def _led_elsewhere(self, reply: Reply) -> errors.UnexpectedAnswer:
        """It is not followed: another address would hear the token, and a POST could become a GET."""
        where = reply.headers.get("location") or "nowhere"
        said = f"{self._call.method} {self._call.path}: {reply.status} leads to {where}."
        return errors.UnexpectedAnswer(f"{said} Give Easel's own address as base_url.")

    def _another_token_helps(self, error: errors.EaselError, attempt: _Attempt) -> bool:
        """A token that was good once has expired or was revoked: another may open again. For one that never was, once;
        a few times where the server says that it has expired: others may have used it up."""
        if not isinstance(error, errors.AuthenticationError) or attempt.token is None:
            return False
        self._session.tokens.refused(attempt.token)
        if isinstance(error, errors.KeyRevoked) or self._session.clock() > self._deadline:
            return False
        if attempt.token.worked:
            return True
        self._new_tokens_refused += 1
        return self._new_tokens_refused <= (NEW_TOKENS if isinstance(error, errors.TokenExpired) else 1)

    def _pause(self, error: errors.EaselError, outcome: Reply | Broken, number: int) -> float:
        """Seconds until the next attempt. Raises the error where there is none."""
        retry = self._session.retry
        error.attempts = number
        if number >= retry.attempts or not self._worth_another(outcome):
            raise error
        asked = error.retry_after if isinstance(error, errors.APIError) else None
        pause = retry.pause(number, asked=asked, chance=self._session.chance)
        if self._session.clock() + pause > self._deadline:
            raise error
        return pause

    def _worth_another(self, outcome: Reply | Broken) -> bool:
        if isinstance(outcome, Broken):
            return self._call.repeatable or outcome.unsent
        if _came_before(outcome):
            return self._call.repeatable  # the next attempt has another nonce
        return outcome.status in (_WORTH_ANOTHER if self._call.repeatable else _NOT_BEGUN)

    def _fetch_token(self) -> Steps[tuple[str, float]]:
        session = self._session
        form = {"grant_type": "client_credentials", "client_id": session.key_id, "client_secret": session.secret}
        call = Call(
            "POST", "/oauth/token", content=urlencode(form).encode(),
            content_type="application/x-www-form-urlencoded", signed_in=False,
        )  # fmt: skip
        answer = content_of((yield from converse(session, call, deadline=self._deadline)))
        try:
            return str(answer["access_token"]), float(answer["expires_in"])
        except (KeyError, TypeError, ValueError) as error:
            raise errors.UnexpectedAnswer("The token endpoint answered without a token.") from error


def content_of(reply: Reply) -> Any:
    """The JSON of an answer; None where there is no content."""
    if not reply.content:
        return None
    try:
        return json.loads(reply.content)
    except ValueError as error:
        said = f"{reply.status} with something else than JSON ({reply.headers.get('content-type', 'no type')})."
        strange = errors.UnexpectedAnswer(f"The answer was {said} Is this the address of an Easel?")
        strange.maybe_done = True  # only good answers are read here
        raise strange from error


def _maybe_done(outcome: Reply | Broken) -> bool:
    """Whether what was asked for may have been done."""
    if isinstance(outcome, Broken):
        return not outcome.unsent
    return outcome.good or outcome.status >= 500 or outcome.status == 408 or _came_before(outcome)


def _came_before(reply: Reply) -> bool:
    """Something on the way sent the same sealed bytes twice."""
    return reply.status == 409 and b'"sealed_replayed"' in reply.content


def error_of(reply: Reply, now: float) -> errors.APIError:
    try:
        body = json.loads(reply.content)
    except ValueError:
        body = None
    body = body if isinstance(body, dict) else {}
    code = str(body.get("code") or body.get("error") or "")
    kind = errors.kind_of(code, reply.status)
    listed = body.get("errors")  # a gateway may call something else so
    fields = [
        errors.FieldError(str(each.get("field", "")), str(each.get("code", "")), str(each.get("detail", "")))
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict)
    ]
    detail = body.get("detail") or body.get("error_description") or body.get("title") or f"HTTP {reply.status}"
    if fields:
        detail = f"{detail} {' '.join(f'{each.field}: {each.detail}' for each in fields if each.field)}".strip()
    return kind(
        str(detail),
        status=reply.status,
        code=code,
        request_id=str(body.get("instance") or reply.headers.get("x-request-id", "")),
        errors=fields,
        retry_after=_retry_after(reply.headers.get("retry-after", ""), now),
        raw=body,
    )


def _retry_after(said: str, now: float) -> float | None:
    """Seconds: the header is a number of them, or a date (RFC 9110, section 10.2.3)."""
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None
