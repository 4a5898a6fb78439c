"""What to do about an error, in one line each."""

from __future__ import annotations

from easel_client import errors
from easel_client.cli.connecting import NoConnection

_BY_CODE = {
    "invalid_client": "The key and the secret do not belong together, or not to this Easel. Run: easel login",
    "token_invalid": "Check the key, the secret and this machine's clock. Run: easel doctor",
    "token_expired": "Check this machine's clock. Run: easel doctor",
    "key_revoked": "Make another key in the console (API keys), then run: easel login",
    "insufficient_credits": "Ask for fewer or smaller pictures, or get credits. What is left: easel usage",
    "spend_cap_reached": "Raise the cap in the console, or wait for the next month (UTC).",
    "insufficient_scope": "Use a key that has this scope: in the console, or easel keys create.",
    "address_not_allowed": "Call from a network on the key's list, or change the list in the console.",
    "unauthorized_client": "Call from a network on the key's list, or change the list in the console.",
    "tenant_suspended": "The account is suspended. Ask the staff of this Easel.",
    "not_found": "Check the id: there is nothing there, or it is another account's.",
    "content_rejected": "Change the prompt. You can appeal in the console.",
    "rate_limited": "Fewer requests a minute, or a larger plan.",
    "quota_exceeded": "Wait until the quota begins anew (easel usage says when), or take a larger plan.",
    "too_many_queued": "Wait until some of your generations have ended.",
    "model_unavailable": "Try another model (easel models), or again later.",
    "overloaded": "Try again later. Nothing was charged.",
}


_ENDED = (errors.GenerationFailed, errors.GenerationCanceled, errors.GenerationRejected)


def remedy_of(error: BaseException, generation_id: str = "") -> str:
    """Empty where the error says it all. `generation_id` is that of the generation whose pictures it cost."""
    known = generation_id if _may_have_pictures(error) else ""
    later = f"Save its pictures: easel fetch {known} -o FILE" if known else ""
    return " ".join(part for part in (_remedy(error), later) if part)


def _may_have_pictures(error: BaseException) -> bool:
    return not isinstance(error, (*_ENDED, errors.NotFound, errors.ContentRejected))


def _remedy(error: BaseException) -> str:
    if isinstance(error, errors.APIError):
        return _BY_CODE.get(error.code, "")
    if isinstance(error, NoConnection):
        return "Check ALL_PROXY, HTTP_PROXY, HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."
    if isinstance(error, (errors.TransportError, errors.UnexpectedAnswer)):
        return "Run: easel doctor"
    if isinstance(error, errors.WaitTimedOut):
        return "It goes on."
    if isinstance(error, errors.GenerationInReview):
        return "Look again once staff have decided."
    return ""
