"""Access tokens: asked for with the key's secret and kept until shortly before they expire, or signed anew for each
attempt without the secret ever leaving this process. Either way nobody has to think of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from easel_client.effects import Alone, Steps

MARGIN = 60.0  # seconds before its end in which a token is not used any more
SIGNED_FOR = 300  # seconds a self-signed token is good


@dataclass
class Token:
    text: str = field(repr=False)
    good_until: float  # monotonic seconds
    worked: bool = False  # whether Easel has accepted it: then a refusal means that it has expired since


class Tokens(Protocol):
    def take(self, fetch: Fetch, *, patience: float) -> Steps[Token]:
        """A token that should be good. `fetch` asks Easel for one; others that do so are waited for at most so long."""
        ...

    def refused(self, token: Token) -> None:
        """Easel did not accept it."""
        ...


# → the token and its lifetime in seconds
Fetch = Callable[[], Steps["tuple[str, float]"]]


class FetchedTokens:
    """OAuth 2.0 client credentials. However many calls need a token at once, one asks for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._token: Token | None = None

    def take(self, fetch: Fetch, *, patience: float) -> Steps[Token]:
        return self._good() or (yield Alone(lambda: self._renewed(fetch), patience))

    def refused(self, token: Token) -> None:
        if self._token is token:  # else somebody has renewed it meanwhile
            self._token = None

    def _renewed(self, fetch: Fetch) -> Steps[Token]:
        token = self._good()  # whoever was here before has brought one
        if token is None:
            asked_at = self._clock()
            text, lifetime = yield from fetch()
            # A lifetime of less than two margins is used by half, so that a key that ends soon works to its end.
            self._token = token = Token(text, asked_at + lifetime - min(MARGIN, lifetime / 2))
        return token

    def _good(self) -> Token | None:
        token = self._token
        return token if token is not None and self._clock() < token.good_until else None


class SignedTokens:
    """HS256 with the API secret, good once (`jti`): one that is read on its way is of no use."""

    def __init__(self, key_id: str, secret: str, now: Callable[[], float] = time.time) -> None:
        self._key_id, self._secret, self._now = key_id, secret.encode(), now

    def take(self, fetch: Fetch, *, patience: float) -> Steps[Token]:
        yield from ()
        now = int(self._now())
        claims = {"iss": self._key_id, "iat": now, "exp": now + SIGNED_FOR, "jti": uuid.uuid4().hex}
        return Token(self._sign(claims), good_until=0.0)

    def refused(self, token: Token) -> None:
        """The next one is another anyway."""

    def _sign(self, claims: dict[str, object]) -> str:
        header = {"alg": "HS256", "typ": "JWT", "kid": self._key_id}
        signed = b".".join(_base64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        signature = hmac.new(self._secret, signed, hashlib.sha256).digest()
        return (signed + b"." + _base64(signature)).decode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
