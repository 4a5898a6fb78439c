"""Access tokens: the ones Easel issues (RFC 9068) and the ones customers sign with their API secret.

Both are HS256. Ours name their signing key by `kid` from the ring `EASEL_TOKEN_KEYS` and carry `typ: at+jwt`. A
self-signed token names its API key by `kid`, by `iss`, or by the header `X-API-Key`, and needs nothing but `exp`.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken
from rest_framework_simplejwt.tokens import Token

from easel.crypto import DataKey, token_keys
from tenants import keys, replay
from tenants.keys import KeyRecord
from tenants.models import APIKey

LIFETIME: Final = timedelta(hours=1)
LEEWAY: Final = 30  # seconds that clocks may differ
LONGEST: Final = 4096  # characters of a token
AUDIENCE: Final = "urn:easel:api"
_GIVEN_BACK: Final = "The access token was revoked."
_INVALID: Final = "The token's signature, key or claims are not valid."
_NOT_A_TIME: Final = "The claim {} is a number: seconds since 1970."
_KID = re.compile(r"[0-9]{1,5}", re.ASCII)


class TokenRefused(Exception):
    """A token that opens nothing. `code` is one of the API's 401 codes, `detail` ASCII: it goes into a header too."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a tenant's API key, and what this token of it may do.

    `issued_at` (Unix seconds) and `digest` are of the token that Easel made; where a secret of the key was the proof,
    it was as good as the key's record is new. `secret` is that which signed the token, where the customer did.
    """

    tenant_id: UUID
    key: KeyRecord
    scopes: frozenset[str]
    issued_at: float | None = None
    digest: bytes = b""
    secret: bytes = field(default=b"", repr=False)

    is_authenticated = True  # what DRF's throttles and permissions look at

    @property
    def holder(self) -> str:
        """By whose permission it listens to `easel.hub`."""
        since = self.key.read_at if self.issued_at is None else self.issued_at
        return keys.holder(self.key.public_id, since=since, digest=self.digest)

    @property
    def data_key(self) -> DataKey:
        return self.key.data_key

    @property
    def test_mode(self) -> bool:
        """Whether this is a key of test mode: free, deterministic, never touching a device."""
        return self.key.mode == APIKey.Mode.TEST


def issuer() -> str:
    return str(settings.BASE_URL or "urn:easel")


def issue(key: KeyRecord, scopes: frozenset[str]) -> str:
    """A token for one hour, or as long as the key lives if that is less."""
    token = AccessToken()
    token.set_exp(lifetime=_lifetime(key))
    token["iss"], token["aud"] = issuer(), AUDIENCE
    token["sub"] = token["client_id"] = key.public_id
    token["scope"] = " ".join(sorted(scopes))
    del token.payload["token_type"]  # RFC 9068 says it by the header `typ`
    return str(token)


def verify(token: str, *, key_hint: str = "") -> Principal:
    """Who signed this token, or TokenRefused. `key_hint` is the public key id that came beside it."""
    header, claims = _unverified(token)
    if header.get("alg") != "HS256":
        raise TokenRefused("token_invalid", "Access tokens are signed with HS256.")
    match str(header.get("typ", "JWT")).lower():
        case "at+jwt" | "application/at+jwt":
            return _verify_issued(token, header, key_hint=key_hint)
        case "jwt":
            named = _named_key((header.get("kid"), claims.get("iss"), key_hint))
            return _verify_self_signed(token, _found(named), key_hint=key_hint)
        case _:
            raise TokenRefused("token_invalid", "The token's typ is JWT, or at+jwt where Easel issued it.")


def inspect(token: str) -> tuple[KeyRecord, float]:
    """The key of a good token and when that ends (Unix seconds), without using it up. Raises TokenRefused."""
    header, claims = _unverified(token)
    if str(header.get("typ", "JWT")).lower() in {"at+jwt", "application/at+jwt"}:
        key = _verify_issued(token, header, key_hint="").key
        return key, float(claims["exp"])
    key = _found(_named_key((header.get("kid"), claims.get("iss"))))
    return key, float(signed_claims(token, key, audiences=frozenset())["exp"])


def usable(key: KeyRecord) -> KeyRecord:
    """The key itself while it may be used; TokenRefused otherwise. Ask after its secret was proven, never before."""
    if key.revoked_at is not None:
        raise TokenRefused("key_revoked", "This API key was revoked.")
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        raise TokenRefused("key_revoked", "This API key has expired.")
    return key


class SigningBackend(TokenBackend):
    """simplejwt's backend with the headers of RFC 9068, for one key of the ring."""

    def __init__(self, key_id: int, secret: bytes, issued_by: str) -> None:
        # The stubs know keys as text only; PyJWT takes bytes.
        super().__init__("HS256", signing_key=secret, audience=AUDIENCE, issuer=issued_by, leeway=LEEWAY)  # type: ignore[arg-type]
        self.key_id = key_id

    def encode(self, payload: dict[str, Any]) -> str:
        headers = {"typ": "at+jwt", "kid": str(self.key_id)}
        return jwt.encode(payload, self.prepared_signing_key, algorithm="HS256", headers=headers)


@lru_cache(maxsize=16)
def _backend(key_id: int, secret: bytes, issued_by: str) -> SigningBackend:
    """Making one costs as much as using it."""
    return SigningBackend(key_id, secret, issued_by)


class AccessToken(Token):
    token_type = "access"  # noqa: S105  the name of a kind, not a secret
    lifetime = LIFETIME

    def get_token_backend(self) -> SigningBackend:
        return _backend(*token_keys().newest, issuer())


def _verify_issued(token: str, header: dict[str, Any], *, key_hint: str) -> Principal:
    key_id = header.get("kid")
    ring = token_keys().keys
    if not isinstance(key_id, str) or not _KID.fullmatch(key_id) or int(key_id) not in ring:
        raise TokenRefused("token_invalid", "The token was signed with a key that is no longer in use.")
    try:
        claims = _backend(int(key_id), ring[int(key_id)], issuer()).decode(token)  # type: ignore[arg-type]  # it is text
    except TokenBackendExpiredToken as error:
        raise TokenRefused("token_expired", "The access token has expired. Get a new one.") from error
    except TokenBackendError as error:
        raise TokenRefused("token_invalid", _INVALID) from error
    client, scope = claims.get("client_id"), claims.get("scope")
    issued_at = claims.get("iat", 0)
    if not isinstance(client, str) or not isinstance(scope, str) or "exp" not in claims:
        raise TokenRefused("token_invalid", "The token lacks client_id, scope or exp.")
    if not isinstance(issued_at, int | float):
        raise TokenRefused("token_invalid", _NOT_A_TIME.format("iat"))
    key = usable(_found(client))
    _agree(key, key_hint)
    _check_not_given_back(key, token)
    if voided(key, issued_at):
        raise TokenRefused("token_invalid", _GIVEN_BACK)
    return Principal(key.tenant_id, key, frozenset(scope.split()) & key.scopes, issued_at, digest(token))


def _verify_self_signed(token: str, key: KeyRecord, *, key_hint: str) -> Principal:
    claims, secret = _signed(token, key, audiences=frozenset())
    usable(key)
    _agree(key, key_hint)
    _check_not_given_back(key, token)
    spend(key, claims)
    scope = claims.get("scope")
    granted = key.scopes if scope is None else key.scopes & frozenset(scope.split())
    return Principal(key.tenant_id, key, granted, digest=digest(token), secret=secret)


def signed_claims(token: str, key: KeyRecord, *, audiences: frozenset[str]) -> dict[str, Any]:
    """What the customer signed with a secret of this key, checked but for replay. `audiences` are further names of
    ours that `aud` may give."""
    return _signed(token, key, audiences=audiences)[0]


def _signed(token: str, key: KeyRecord, *, audiences: frozenset[str]) -> tuple[dict[str, Any], bytes]:
    """And the secret that it was signed with."""
    for secret in key.secrets:
        try:
            claims = jwt.decode(
                token,
                secret,
                algorithms=["HS256"],
                leeway=LEEWAY,
                options={"require": ["exp"], "verify_aud": False, "verify_jti": False, "verify_sub": False},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError as error:
            raise TokenRefused("token_expired", "The access token has expired. Sign a new one.") from error
        except jwt.PyJWTError as error:
            raise TokenRefused("token_invalid", _INVALID) from error
        _check_self_signed(claims, audiences | {AUDIENCE})
        return claims, secret
    raise TokenRefused("token_invalid", _INVALID)


def spend(key: KeyRecord, claims: dict[str, Any]) -> None:
    """Use the token up, if it carries a jti."""
    if "jti" in claims and not replay.spend(key, claims["jti"], good_until=claims["exp"] + LEEWAY):
        raise TokenRefused("token_replayed", "A token with a jti is good once, and this one was used before.")


def voided(key: KeyRecord, issued_at: float) -> bool:
    """Whether what was issued then (Unix seconds) opens nothing since a rotation without overlap."""
    return key.tokens_not_before is not None and issued_at <= int(key.tokens_not_before.timestamp())


def digest(token: str) -> bytes:
    """What a token is given back by. Of the signed part: its signature can be spelled in more than one way."""
    return hashlib.sha256(token.rpartition(".")[0].encode("utf-8", "surrogatepass")).digest()


def _check_not_given_back(key: KeyRecord, token: str) -> None:
    if key.revoked_tokens and digest(token) in key.revoked_tokens:
        raise TokenRefused("token_invalid", _GIVEN_BACK)


def _check_self_signed(claims: dict[str, Any], audiences: frozenset[str]) -> None:
    """What our issuing makes sure of for our own tokens, and PyJWT leaves open."""
    for name in ("exp", "iat", "nbf"):
        if not isinstance(claims.get(name, 0), int | float):
            raise TokenRefused("token_invalid", _NOT_A_TIME.format(name))
    if claims["exp"] > datetime.now(UTC).timestamp() + LIFETIME.total_seconds() + LEEWAY:
        raise TokenRefused("token_invalid", "A self-signed token expires at most one hour ahead.")
    if "jti" in claims and not (isinstance(claims["jti"], str) and claims["jti"]):
        raise TokenRefused("token_invalid", "The claim jti, where there is one, is a text that is not empty.")
    if not isinstance(claims.get("scope", ""), str):
        raise TokenRefused("token_invalid", "The claim scope is a text: scopes with spaces between them.")
    audience = claims.get("aud", AUDIENCE)
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(each, str) and each in audiences for each in named):
        raise TokenRefused("token_invalid", f"The claim aud, where there is one, names {AUDIENCE}.")


def _named_key(candidates: Sequence[object]) -> str:
    for named in candidates:
        if isinstance(named, str) and keys.PUBLIC_ID.fullmatch(named):
            return named
    raise TokenRefused("token_invalid", "Name your API key by the token's kid or iss, or by the header X-API-Key.")


def _agree(key: KeyRecord, key_hint: str) -> None:
    if keys.PUBLIC_ID.fullmatch(key_hint) and key_hint != key.public_id:
        raise TokenRefused("token_invalid", "X-API-Key names another API key than the token.")


def _found(public_id: str) -> KeyRecord:
    """An unknown key reads like a wrong signature."""
    key = keys.find(public_id)
    if key is None:
        raise TokenRefused("token_invalid", _INVALID)
    return key


def lifetime_seconds(key: KeyRecord) -> int:
    """How long a token issued now for this key lives."""
    return int(_lifetime(key).total_seconds())


def _lifetime(key: KeyRecord) -> timedelta:
    if key.expires_at is None:
        return LIFETIME
    return min(LIFETIME, key.expires_at - datetime.now(UTC))


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, for naming the key only: nothing read here is believed before the signature is checked."""
    if len(token) > LONGEST:
        raise TokenRefused("token_invalid", f"An access token has at most {LONGEST} characters.")
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise TokenRefused("token_invalid", "This is not a JSON Web Token.") from error
    return parts["header"], parts["payload"]
