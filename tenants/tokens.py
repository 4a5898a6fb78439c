"""Access tokens: the ones Easel issues (RFC 9068) and the ones customers sign with their API secret.

Both are HS256. Ours name their signing key by `kid` from the ring `EASEL_TOKEN_KEYS` and carry `typ: at+jwt`. A
self-signed token names its API key by `kid`, by `iss`, or by the header `X-API-Key`, and needs nothing but `exp`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken
from rest_framework_simplejwt.tokens import Token

from easel.crypto import DataKey, token_keys
from tenants import keys
from tenants.keys import KeyRecord

LIFETIME: Final = timedelta(hours=1)
LEEWAY: Final = 30  # seconds that clocks may differ
LONGEST: Final = 4096  # characters of a token
AUDIENCE: Final = "urn:easel:api"
_KID = re.compile(r"[0-9]{1,5}", re.ASCII)


class TokenRefused(Exception):
    """A token that opens nothing. `code` is one of the API's 401 codes."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a tenant's API key, and what this token of it may do."""

    tenant_id: UUID
    key: KeyRecord
    scopes: frozenset[str]

    is_authenticated = True  # what DRF's throttles and permissions look at

    @property
    def data_key(self) -> DataKey:
        return self.key.data_key


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
    if len(token) > LONGEST:
        raise TokenRefused("token_invalid", f"An access token has at most {LONGEST} characters.")
    header = _unverified_header(token)
    if header.get("alg") != "HS256":
        raise TokenRefused("token_invalid", "Access tokens are signed with HS256.")
    if str(header.get("typ", "")).lower() == "at+jwt":
        return _verify_issued(token, header)
    return _verify_self_signed(token, header, key_hint)


def usable(key: KeyRecord | None) -> KeyRecord:
    """The key itself while it may be used; TokenRefused otherwise. An unknown key reads like a wrong signature."""
    if key is None:
        raise TokenRefused("token_invalid", "The token's signature or key is not valid.")
    if key.revoked_at is not None:
        raise TokenRefused("key_revoked", "This API key was revoked.")
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        raise TokenRefused("key_revoked", "This API key has expired.")
    return key


class SigningBackend(TokenBackend):
    """simplejwt's backend with the headers of RFC 9068, for one key of the ring."""

    def __init__(self, key_id: int, secret: bytes) -> None:
        super().__init__("HS256", signing_key=secret, audience=AUDIENCE, issuer=issuer(), leeway=LEEWAY)
        self.key_id = key_id

    def encode(self, payload: dict[str, Any]) -> str:
        headers = {"typ": "at+jwt", "kid": str(self.key_id)}
        return jwt.encode(payload, self.signing_key, algorithm="HS256", headers=headers)


class AccessToken(Token):
    token_type = "access"  # noqa: S105  the name of a kind, not a secret
    lifetime = LIFETIME

    def get_token_backend(self) -> SigningBackend:
        return SigningBackend(*token_keys().newest)


def _verify_issued(token: str, header: dict[str, Any]) -> Principal:
    key_id = header.get("kid")
    ring = token_keys().keys
    if not isinstance(key_id, str) or not _KID.fullmatch(key_id) or int(key_id) not in ring:
        raise TokenRefused("token_invalid", "The token was signed with a key that is no longer in use.")
    try:
        claims = SigningBackend(int(key_id), ring[int(key_id)]).decode(token)
    except TokenBackendExpiredToken as error:
        raise TokenRefused("token_expired", "The access token has expired. Get a new one.") from error
    except TokenBackendError as error:
        raise TokenRefused("token_invalid", "The token's signature or claims are not valid.") from error
    client, scope = claims.get("client_id"), claims.get("scope")
    if not isinstance(client, str) or not isinstance(scope, str) or "exp" not in claims:
        raise TokenRefused("token_invalid", "The token lacks client_id, scope or exp.")
    key = usable(keys.find(client))
    return Principal(key.tenant_id, key, frozenset(scope.split()) & key.scopes)


def _verify_self_signed(token: str, header: dict[str, Any], key_hint: str) -> Principal:
    public_id = _named_key(token, header, key_hint)
    key = usable(keys.find(public_id))
    try:
        claims = jwt.decode(
            token,
            key.secret,
            algorithms=["HS256"],
            audience=AUDIENCE,
            leeway=LEEWAY,
            options={"require": ["exp"], "verify_aud": "aud" in _unverified_claims(token), "verify_sub": False},
        )
    except jwt.ExpiredSignatureError as error:
        raise TokenRefused("token_expired", "The access token has expired. Sign a new one.") from error
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise TokenRefused("token_invalid", "The token's signature or claims are not valid.") from error
    if type(claims["exp"]) not in {int, float}:
        raise TokenRefused("token_invalid", "The claim exp is a number: seconds since 1970.")
    latest = datetime.now(UTC).timestamp() + LIFETIME.total_seconds() + LEEWAY
    if claims["exp"] > latest:
        raise TokenRefused("token_invalid", "A self-signed token expires at most one hour ahead.")
    return Principal(key.tenant_id, key, key.scopes)


def _named_key(token: str, header: dict[str, Any], key_hint: str) -> str:
    for named in (header.get("kid"), _unverified_claims(token).get("iss"), key_hint):
        if isinstance(named, str) and keys.PUBLIC_ID.fullmatch(named):
            return named
    raise TokenRefused(
        "token_invalid", "Name your API key (ek_…) by the token's kid or iss, or by the header X-API-Key."
    )


def lifetime_seconds(key: KeyRecord) -> int:
    """How long a token issued now for this key lives."""
    return int(_lifetime(key).total_seconds())


def _lifetime(key: KeyRecord) -> timedelta:
    if key.expires_at is None:
        return LIFETIME
    return min(LIFETIME, key.expires_at - datetime.now(UTC))


def _unverified_header(token: str) -> dict[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise TokenRefused("token_invalid", "This is not a JSON Web Token.") from error


def _unverified_claims(token: str) -> dict[str, Any]:
    """For naming the key only: nothing read here is believed before the signature is checked."""
    try:
        return dict(jwt.decode(token, options={"verify_signature": False}))
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise TokenRefused("token_invalid", "This is not a JSON Web Token.") from error
