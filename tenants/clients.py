"""Who calls the OAuth endpoints: an API key, proven by its secret or by a word signed with it.

By HTTP Basic or in the form (RFC 6749, section 2.3.1), or by an assertion (RFC 7523): a JSON Web Token, HS256, whose
`iss` and `sub` are the key's public id and whose `aud` names this server. One that carries a `jti` is good once.

A public id is no secret: whoever only names a key uses up a count of their own network's, and never that of whoever can
prove it.
"""

import base64
import binascii
import hmac
from typing import Any, Final
from urllib.parse import unquote_plus

import jwt
from django.conf import settings
from django.http import HttpRequest

from easel import ratelimit
from easel.problems import Problem
from easel.requests import client_address
from tenants import keys, tokens
from tenants.keys import KeyRecord
from tenants.tokens import TokenRefused

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105


class OAuthError(Exception):
    """An error as RFC 6749, section 5.2 writes it."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


def base_url(request: HttpRequest) -> str:
    return str(settings.BASE_URL).rstrip("/") or f"{request.scheme}://{request.get_host()}"


def limit(by: str, value: str) -> None:
    """Closed while nobody can count: a door at which secrets are guessed must not stand open."""
    try:
        ratelimit.guard("token", {by: value}, limits=settings.TOKENS_PER_MINUTE)
    except Problem as problem:  # with what an OAuth client looks for, too
        problem.extra |= {"error": "temporarily_unavailable", "error_description": problem.detail}
        raise


def client(request: HttpRequest) -> KeyRecord:
    """The key that this form comes from, however it proves itself. Raises OAuthError."""
    if "client_assertion" in request.POST or "client_assertion_type" in request.POST:
        return _by_assertion(request)
    public_id, secret = _credentials(request)
    key = _known(public_id)
    # Each comparison takes the same time whatever was guessed.
    if key is None or not any(hmac.compare_digest(good, secret.encode()) for good in key.secrets):
        _count_guess(public_id, request)
        raise OAuthError("invalid_client", "The client id or the client secret is wrong.")
    return _admitted(key, request)


def asserted(assertion: str, request: HttpRequest, *, error: str) -> KeyRecord:
    """The key that signed an assertion (RFC 7523, section 3). `error` is the code for one that does not hold."""
    try:
        key, claims = _signed(assertion, request)
        _admitted(key, request)
        tokens.spend(key, claims)
    except TokenRefused as refused:
        raise OAuthError(error, refused.detail) from refused
    return key


def _signed(assertion: str, request: HttpRequest) -> tuple[KeyRecord, dict[str, Any]]:
    named = _unverified(assertion).get("iss")
    public_id = named if isinstance(named, str) else ""
    try:
        return _verified(assertion, public_id, request)
    except TokenRefused:
        _count_guess(public_id, request)
        raise


def _verified(assertion: str, public_id: str, request: HttpRequest) -> tuple[KeyRecord, dict[str, Any]]:
    key = _known(public_id)
    if key is None:
        raise TokenRefused("token_invalid", "The assertion's iss is not the public id of an API key.")
    ours = frozenset({tokens.issuer(), base_url(request), base_url(request) + TOKEN_PATH})
    claims = tokens.signed_claims(assertion, key, audiences=ours)
    if claims.get("sub") != key.public_id:
        raise TokenRefused("token_invalid", "The assertion's sub is the same public id as its iss.")
    if "aud" not in claims:
        raise TokenRefused("token_invalid", "The assertion's aud names this server.")
    return key, claims


def _by_assertion(request: HttpRequest) -> KeyRecord:
    if request.POST.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthError("invalid_request", f"The client_assertion_type is {ASSERTION_TYPE}.")
    if "client_secret" in request.POST or request.headers.get("Authorization"):
        raise OAuthError("invalid_request", "Send the client's credentials one way, not two.")
    key = asserted(request.POST.get("client_assertion", ""), request, error="invalid_client")
    if request.POST.get("client_id", key.public_id) != key.public_id:
        raise OAuthError("invalid_client", "The form's client_id is not the assertion's.")
    return key


def _known(public_id: str) -> KeyRecord | None:
    return keys.find(public_id) if keys.PUBLIC_ID.fullmatch(public_id) else None


def _count_guess(public_id: str, request: HttpRequest) -> None:
    if keys.PUBLIC_ID.fullmatch(public_id):
        limit("client", guesser(public_id, client_address(request)))


def guesser(public_id: str, address: str) -> str:
    """Who guesses at a key, as one caller that is limited."""
    return f"{public_id} {ratelimit.network(address)}"


def _admitted(key: KeyRecord, request: HttpRequest) -> KeyRecord:
    try:
        tokens.usable(key)
    except TokenRefused as error:
        raise OAuthError("invalid_client", error.detail) from error
    if not key.admits(client_address(request)):
        raise OAuthError("unauthorized_client", "This API key may not be used from this address.")
    limit("client", key.public_id)
    return key


def _credentials(request: HttpRequest) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        if "client_secret" in request.POST:
            raise OAuthError("invalid_request", "Send the client's credentials one way, not two.")
        try:
            public_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError) as error:
            raise OAuthError("invalid_client", "The Basic credentials are not base64 of id:secret.") from error
        public_id, secret = unquote_plus(public_id), unquote_plus(secret)
        if request.POST.get("client_id", public_id) != public_id:
            raise OAuthError("invalid_request", "The form's client_id is not the one of the Basic credentials.")
        return public_id, secret
    return request.POST.get("client_id", ""), request.POST.get("client_secret", "")


def _unverified(assertion: str) -> dict[str, Any]:
    """For naming the key only."""
    if len(assertion) > tokens.LONGEST:
        raise TokenRefused("token_invalid", f"An assertion has at most {tokens.LONGEST} characters.")
    try:
        parts = jwt.decode_complete(assertion, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise TokenRefused("token_invalid", "The assertion is not a JSON Web Token.") from error
    claims: dict[str, Any] = parts["payload"]
    return claims
