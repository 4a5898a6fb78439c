"""What the command's exit code says. Scripts may rely on these."""

from __future__ import annotations

from easel_client import errors

OK = 0
UNKNOWN = 1  # nothing below
USAGE = 2  # the command line itself
NOT_LET_IN = 3  # no credentials, or these open nothing
REFUSED = 4  # the request cannot be served as it is
SPENT = 5  # credits, caps, quotas, limits
UNREACHABLE = 6  # no answer, or one that says "not now"
NO_PICTURE = 7  # it ended without: failed, canceled, rejected, in review
STILL_GOING = 8  # it goes on; the time to wait is over
INTERRUPTED = 130

_CODES: list[tuple[type[Exception], int]] = [
    (errors.AuthenticationError, NOT_LET_IN),
    (errors.PermissionDenied, NOT_LET_IN),
    (errors.PaymentRequired, SPENT),
    (errors.TooManyRequests, SPENT),
    (errors.ServerError, UNREACHABLE),
    (errors.APIError, REFUSED),
    (errors.TransportError, UNREACHABLE),
    (errors.CircuitOpen, UNREACHABLE),
    (errors.UnexpectedAnswer, UNREACHABLE),
    (errors.WaitTimedOut, STILL_GOING),
    (errors.GenerationNotCompleted, NO_PICTURE),
]


def code_of(error: Exception) -> int:
    return next((code for kind, code in _CODES if isinstance(error, kind)), UNKNOWN)
