"""What can go wrong, as types. Every code of the API has a class; a new one falls back to that of its status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class EaselError(Exception):
    """Everything this package raises. `attempts` says how many were made; `generation_id` which generation it is about,
    where one is known: it may well go on. `maybe_done`: one of the attempts may have done what was asked for, though no
    answer told so."""

    attempts = 0
    maybe_done = False
    generation_id: str | None = None


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request; an empty name means the body as a whole."""

    field: str
    code: str
    detail: str


class APIError(EaselError):
    """Easel's own answer, as RFC 9457 has it. Go by the class or by `code`; `request_id` finds it in Easel's logs."""

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        code: str = "",
        request_id: str = "",
        errors: Sequence[FieldError] = (),
        retry_after: float | None = None,
        raw: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{detail} ({code or status})" if detail else code or str(status))
        self.detail, self.status, self.code, self.request_id = detail, status, code, request_id
        self.errors, self.retry_after, self.raw = tuple(errors), retry_after, dict(raw or {})
        self.generation_id = self.raw.get("generation_id")


class BadRequest(APIError):
    """400: the request itself has to be mended; `errors` names the fields."""


class InvalidRequest(BadRequest):
    pass


class SealedInvalid(BadRequest):
    """The sealed request did not open: the clock, the key, or something on the way changed it."""


class AuthenticationError(APIError):
    """401, after a token was asked for anew."""


class TokenMissing(AuthenticationError):
    pass


class TokenInvalid(AuthenticationError):
    pass


class TokenExpired(AuthenticationError):
    pass


class TokenReplayed(AuthenticationError):
    pass


class KeyRevoked(AuthenticationError):
    """The API key was revoked or has expired."""


class InvalidClient(AuthenticationError):
    """The token endpoint does not know this key, or the secret is not its own."""


class PaymentRequired(APIError):
    """402"""


class InsufficientCredits(PaymentRequired):
    pass


class SpendCapReached(PaymentRequired):
    pass


class PermissionDenied(APIError):
    """403"""


class InsufficientScope(PermissionDenied):
    pass


class RoleNotAllowed(PermissionDenied):
    pass


class AddressNotAllowed(PermissionDenied):
    pass


class UnauthorizedClient(AddressNotAllowed):
    """As the token endpoint says it, by RFC 6749 with 400."""


class TenantSuspended(PermissionDenied):
    pass


class NotFound(APIError):
    """404: there is nothing there, or it is not yours."""


class MethodNotAllowed(APIError):
    pass


class NotAcceptable(APIError):
    pass


class Conflict(APIError):
    """409"""


class IdempotencyConflict(Conflict):
    pass


class NotAppealable(Conflict):
    pass


class AlreadyFinished(Conflict):
    pass


class SealedReplayed(Conflict):
    pass


class BodyTooLarge(APIError):
    pass


class UnsupportedMediaType(APIError):
    pass


class RangeNotSatisfiable(APIError):
    pass


class ContentRejected(APIError):
    """422: moderation refused the prompt or a picture. `generation_id` names what can be appealed."""


class TooManyRequests(APIError):
    """429, after waiting as `Retry-After` said, or because that is longer than the call may take."""


class RateLimited(TooManyRequests):
    pass


class QuotaExceeded(TooManyRequests):
    pass


class TooManyQueued(TooManyRequests):
    pass


class ServerError(APIError):
    """5xx, after every attempt."""


class InternalError(ServerError):
    pass


class ModelUnavailable(ServerError):
    pass


class Overloaded(ServerError):
    pass


class TransportError(EaselError):
    """No answer came, after every attempt."""


class ConnectionFailed(TransportError):
    pass


class TimedOut(TransportError):
    pass


class CircuitOpen(EaselError):
    """Easel has failed so often lately that nothing is sent for a while. `retry_after` says for how long."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"Easel kept failing; nothing is sent for the next {retry_after:.1f} s.")
        self.retry_after = retry_after


class UnexpectedAnswer(EaselError):
    """An answer that is none of Easel's: a proxy's page, or another service at this address."""


class NotSealed(EaselError):
    """An answer that should have been sealed and was not, or that was altered on its way."""


class DamagedImage(EaselError):
    """A file whose SHA-256 is not the one that Easel stated."""


class GenerationNotCompleted(EaselError):
    """It ended without pictures for you, or has not ended yet. `generation` is how it stands."""

    def __init__(self, said: str, generation: Any) -> None:
        super().__init__(said)
        self.generation = generation
        self.generation_id = generation.id


class GenerationFailed(GenerationNotCompleted):
    """`code` is one of the API's error codes of generations, such as `out_of_memory`."""

    def __init__(self, said: str, generation: Any, code: str) -> None:
        super().__init__(said, generation)
        self.code = code


class GenerationCanceled(GenerationNotCompleted):
    pass


class GenerationRejected(GenerationNotCompleted):
    """Moderation released none of its pictures."""


class GenerationInReview(GenerationNotCompleted):
    """Its pictures wait for staff. A webhook or a later look tells what was decided."""


class WaitTimedOut(GenerationNotCompleted):
    """It goes on; wait again whenever you like."""


# What passes: the same call may well be answered later, and what it asked for may have been done.
TRANSIENT = (TransportError, CircuitOpen, ServerError, TooManyRequests)

BY_CODE: Mapping[str, type[APIError]] = {
    "invalid_request": InvalidRequest,
    "sealed_invalid": SealedInvalid,
    "token_missing": TokenMissing,
    "token_invalid": TokenInvalid,
    "token_expired": TokenExpired,
    "token_replayed": TokenReplayed,
    "key_revoked": KeyRevoked,
    "invalid_client": InvalidClient,
    "unauthorized_client": UnauthorizedClient,
    "insufficient_credits": InsufficientCredits,
    "spend_cap_reached": SpendCapReached,
    "insufficient_scope": InsufficientScope,
    "role_not_allowed": RoleNotAllowed,
    "address_not_allowed": AddressNotAllowed,
    "tenant_suspended": TenantSuspended,
    "not_found": NotFound,
    "method_not_allowed": MethodNotAllowed,
    "not_acceptable": NotAcceptable,
    "idempotency_conflict": IdempotencyConflict,
    "not_appealable": NotAppealable,
    "already_finished": AlreadyFinished,
    "sealed_replayed": SealedReplayed,
    "body_too_large": BodyTooLarge,
    "unsupported_media_type": UnsupportedMediaType,
    "range_not_satisfiable": RangeNotSatisfiable,
    "content_rejected": ContentRejected,
    "rate_limited": RateLimited,
    "quota_exceeded": QuotaExceeded,
    "too_many_queued": TooManyQueued,
    "internal_error": InternalError,
    "model_unavailable": ModelUnavailable,
    "overloaded": Overloaded,
}
BY_STATUS: Mapping[int, type[APIError]] = {
    400: BadRequest,
    401: AuthenticationError,
    402: PaymentRequired,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    422: ContentRejected,
    429: TooManyRequests,
}


def kind_of(code: str, status: int) -> type[APIError]:
    return BY_CODE.get(code) or BY_STATUS.get(status) or (ServerError if status >= 500 else APIError)
