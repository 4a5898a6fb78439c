"""`POST /oauth/token`: OAuth 2.0 client credentials (RFC 6749, section 4.4). The client is an API key."""

import base64
import binascii
import hmac
from urllib.parse import unquote_plus

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views import View

from easel import ratelimit
from easel.problems import Problem
from easel.requests import client_address
from tenants import keys, tokens
from tenants.keys import KeyRecord
from tenants.tokens import TokenRefused


class OAuthError(Exception):
    """An error as RFC 6749, section 5.2 writes it."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


class TokenView(View):
    """Form-encoded in, JSON out; credentials by HTTP Basic or as `client_id` and `client_secret` in the form."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> JsonResponse:
        _limit("address", ratelimit.network(client_address(request)))
        try:
            return _no_store(JsonResponse(_grant(request)))
        except OAuthError as error:
            status = 401 if error.error == "invalid_client" else 400
            answer = JsonResponse({"error": error.error, "error_description": error.description}, status=status)
            if status == 401:
                answer["WWW-Authenticate"] = 'Basic realm="easel"'
            return _no_store(answer)


def _limit(by: str, value: str) -> None:
    """Closed while nobody can count: a door at which secrets are guessed must not stand open."""
    try:
        ratelimit.guard("token", {by: value}, limits=settings.TOKENS_PER_MINUTE)
    except Problem as problem:  # with what an OAuth client looks for, too
        problem.extra |= {"error": "temporarily_unavailable", "error_description": problem.detail}
        raise


def _grant(request: HttpRequest) -> dict[str, object]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "Send the parameters as application/x-www-form-urlencoded.")
    if any(len(values) > 1 for _, values in request.POST.lists()):
        raise OAuthError("invalid_request", "A parameter may be given only once.")
    if not request.POST.get("grant_type"):
        raise OAuthError("invalid_request", "The parameter grant_type is missing.")
    if request.POST["grant_type"] != "client_credentials":
        raise OAuthError("unsupported_grant_type", "Only grant_type=client_credentials is supported.")
    key = _client(request)
    scopes = _scopes(request.POST.get("scope", ""), key)
    return {
        "access_token": tokens.issue(key, scopes),
        "token_type": "Bearer",
        "expires_in": tokens.lifetime_seconds(key),
        "scope": " ".join(sorted(scopes)),
    }


def _client(request: HttpRequest) -> KeyRecord:
    public_id, secret = _credentials(request)
    known = keys.PUBLIC_ID.fullmatch(public_id) is not None
    if known:
        _limit("client", public_id)
    key = keys.find(public_id) if known else None
    if key is None or not hmac.compare_digest(key.secret, secret.encode()):
        raise OAuthError("invalid_client", "The client id or the client secret is wrong.")
    try:
        return tokens.usable(key)
    except TokenRefused as error:
        raise OAuthError("invalid_client", error.detail) from error


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


def _scopes(wanted: str, key: KeyRecord) -> frozenset[str]:
    scopes = frozenset(wanted.split())
    if not scopes <= key.scopes:
        raise OAuthError("invalid_scope", "The key does not have every scope that was asked for.")
    return scopes or key.scopes


def _no_store(answer: JsonResponse) -> JsonResponse:
    answer["Cache-Control"] = "no-store"
    answer["Pragma"] = "no-cache"
    return answer
