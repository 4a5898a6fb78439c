"""An API key that proves itself by its secret, for programs that know nothing of access tokens: as one string,
`ek_live_….es_…`, after `Bearer`, or as name and password of HTTP Basic. For `/compat/` alone.

A secret has 256 bits and is compared in constant time. Still every string that was not proven here a moment ago is
counted, as at `/oauth/token` and together with it, and refused while nobody can count: by address before it is looked
at, and by key afterwards, the wrong ones for the network that they come from alone. A proven one is compared anew each
time: what is revoked is refused as fast as everywhere.
"""

import base64
import binascii
import hmac
import os
import re
import time
from threading import Lock
from typing import Final

import structlog
from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from easel import ratelimit
from easel.problems import CHALLENGE, Problem
from easel.requests import client_address
from tenants import authentication, clients, keys, last_use, tokens
from tenants.keys import KeyRecord
from tenants.tokens import Principal, TokenRefused

PROVEN_SECONDS: Final = 60.0
PROVEN_AT_MOST: Final = 10_000
WORD: Final = re.compile(r"(ek_(?:live|test)_[A-Za-z0-9]{20})[.:](es_[A-Za-z0-9]{1,100})", re.ASCII)
_NOBODYS: Final = [os.urandom(46)]  # what is compared with where there is no such key
_OURS: Final = os.urandom(32)


class PlainKeyAuthentication(BaseAuthentication):
    """A plain key, or any access token that `/v1` would take. `request.auth` is empty for a key."""

    def authenticate(self, request: Request) -> tuple[Principal, str]:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        address = client_address(request._request)
        word = _basic(given.strip()) if scheme.lower() == "basic" else given.strip()
        if scheme.lower() not in {"basic", "bearer", "token"} or not word:
            raise Problem("token_missing", "Send your API key with its secret: <key id>.<secret>.")
        if word.startswith("ek_") or scheme.lower() == "basic":
            principal, word = admit(word, address=address), ""
        else:
            principal = authentication.admit(word, key_hint="", address=address)
        structlog.contextvars.bind_contextvars(tenant=str(principal.tenant_id))
        return principal, word

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def admit(word: str, *, address: str) -> Principal:
    """Whoever this key belongs to, asking from this address; or the Problem that says why not."""
    found = WORD.fullmatch(word)
    if found is None:
        _count("address", ratelimit.network(address))
        raise authentication.refused(
            TokenRefused("token_invalid", "The key is written as its id, a dot and its secret.")
        )
    key = _proven(found[1], found[2], address=address)
    authentication.may_enter(key, address)
    last_use.note(key)
    return Principal(key.tenant_id, key, key.scopes)


def forget_all() -> None:
    """Count every key again."""
    with _lock:
        _until.clear()


def _proven(public_id: str, secret: str, *, address: str) -> KeyRecord:
    mark = hmac.digest(_OURS, f"{public_id}.{secret}".encode(), "sha256")
    new = _until.get(mark, 0.0) <= time.monotonic()
    if new:
        _count("address", ratelimit.network(address))
    key = keys.find(public_id)
    good = key.secrets if key is not None else _NOBODYS
    equal = [hmac.compare_digest(each, secret.encode()) for each in good]
    if key is None or not any(equal):
        _count("client", clients.guesser(public_id, address))
        raise authentication.refused(TokenRefused("token_invalid", "The API key or its secret is wrong."))
    try:
        tokens.usable(key)
    except TokenRefused as error:
        raise authentication.refused(error) from error
    if new:
        _count("client", public_id)
    _remember(mark)
    return key


def _count(by: str, value: str) -> None:
    ratelimit.guard("token", {by: value}, limits=settings.TOKENS_PER_MINUTE)


def _remember(mark: bytes) -> None:
    with _lock:
        if len(_until) >= PROVEN_AT_MOST:
            _until.clear()
        _until[mark] = time.monotonic() + PROVEN_SECONDS


def _basic(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


_until: dict[bytes, float] = {}
_lock = Lock()
