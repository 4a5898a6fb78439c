"""What a client does about each problem, in a sentence: what the page behind a problem's `type` says."""

from collections.abc import Mapping
from typing import Final

_AGAIN: Final = "Try again after as many seconds as Retry-After says, each time later. Nothing was charged."

REMEDIES: Final[Mapping[str, str]] = {
    "invalid_request": "Mend the fields that errors names. The same request will be refused again.",
    "sealed_invalid": "Seal the request anew, as docs/formats.md says. Check the key, the secret and your clock.",
    "sealed_replayed": "A sealed request is good once: seal each attempt anew.",
    "token_missing": "Send an access token: Authorization: Bearer <token>. POST /oauth/token gives one.",
    "token_invalid": "Get a new token, or sign one anew. Check which key and which secret you use.",
    "token_expired": "Get a new token, or sign one anew. Check your clock.",
    "token_replayed": "A token with a jti is good once: sign a new one for each attempt.",
    "key_revoked": "Use another API key: this one was revoked or has expired.",
    "insufficient_credits": "The wallet does not cover the quote; nothing was held. Ask for less, or get credits.",
    "spend_cap_reached": "Wait for the next month (UTC), or have the cap raised.",
    "insufficient_scope": "Use an API key that has the scope which the challenge names.",
    "address_not_allowed": "Call from a network that the key's list allows, or change the list.",
    "role_not_allowed": "Your role in this workspace does not allow it. Ask an owner or admin.",
    "tenant_suspended": "The account is suspended. Ask the platform's staff.",
    "not_found": "There is nothing at this address, or it is not yours. The two look the same.",
    "method_not_allowed": "Allow names the methods of this address.",
    "not_acceptable": "Accept application/json, or what the call's description names.",
    "idempotency_conflict": "This Idempotency-Key was sent with another request. Use a new key for a new request.",
    "already_finished": "It has ended before; nothing was changed.",
    "not_appealable": "Nothing of it was rejected, or it was appealed before. There is one appeal for each generation.",
    "body_too_large": "Send less. Large pictures can be given by an address or an upload instead.",
    "range_not_satisfiable": "Ask for bytes that the file has; Content-Range says how many.",
    "unsupported_media_type": "Send application/json, or what the call's description names.",
    "content_rejected": "Moderation refused it. Change the prompt, or appeal with the generation_id.",
    "rate_limited": "Send fewer requests. Try again after as many seconds as Retry-After says.",
    "quota_exceeded": "The quota of this day or month is used up. Try again after Retry-After, or change the plan.",
    "too_many_queued": "Too many of your generations wait. Let some of them end first.",
    "internal_error": "The error was recorded. Tell us the request id if it stays. Nothing was charged.",
    "model_unavailable": _AGAIN,
    "overloaded": _AGAIN,
}
