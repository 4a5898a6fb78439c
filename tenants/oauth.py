"""The OAuth 2.0 endpoints for programs: a token (RFC 6749, section 4.4; RFC 7523), giving one back (RFC 7009), and what
this server can do (RFC 8414). The client is an API key."""

from typing import Final

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import View
from django.views.decorators.http import require_safe

from easel import ratelimit
from easel.requests import client_address
from tenants import clients, keys, last_use, revocation, tokens
from tenants.clients import OAuthError
from tenants.keys import KeyRecord

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GRANTS: Final = ("client_credentials", JWT_BEARER)
AUTHENTICATION: Final = ["client_secret_basic", "client_secret_post", "client_secret_jwt"]


class FormView(View):
    """Form-encoded in, JSON out, errors as RFC 6749 writes them, nothing for a cache."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        clients.limit("address", ratelimit.network(client_address(request)))
        try:
            _check_form(request)
            return _no_store(self.answer(request))
        except OAuthError as error:
            status = 401 if error.error == "invalid_client" else 400
            answer = JsonResponse({"error": error.error, "error_description": error.description}, status=status)
            if status == 401:
                answer["WWW-Authenticate"] = 'Basic realm="easel"'
            return _no_store(answer)

    def answer(self, request: HttpRequest) -> HttpResponse:
        raise NotImplementedError


class TokenView(FormView):
    """`POST /oauth/token`"""

    def answer(self, request: HttpRequest) -> HttpResponse:
        grant = request.POST.get("grant_type")
        if not grant:
            raise OAuthError("invalid_request", "The parameter grant_type is missing.")
        if grant not in GRANTS:
            raise OAuthError("unsupported_grant_type", f"The parameter grant_type is {' or '.join(GRANTS)}.")
        key = _assertion_grant(request) if grant == JWT_BEARER else clients.client(request)
        scopes = _scopes(request.POST.get("scope", ""), key)
        token = tokens.issue(key, scopes)
        last_use.note(key)
        return JsonResponse(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": tokens.lifetime_seconds(key),
                "scope": " ".join(sorted(scopes)),
            }
        )


class RevokeView(FormView):
    """`POST /oauth/revoke`: 200 whether or not there was such a token. Another key's is one that is not there."""

    def answer(self, request: HttpRequest) -> HttpResponse:
        key = clients.client(request)
        token = request.POST.get("token", "")
        if not token:
            raise OAuthError("invalid_request", "The parameter token is missing.")
        if revocation.give_back(token, key):
            structlog.get_logger("easel.oauth").info("a token was revoked", key=key.public_id)
        return HttpResponse(status=200)


@require_safe
def metadata(request: HttpRequest) -> JsonResponse:
    """`GET /.well-known/oauth-authorization-server`"""
    base = clients.base_url(request)
    answer = JsonResponse(
        {
            "issuer": base,
            "token_endpoint": f"{base}/oauth/token",
            "revocation_endpoint": f"{base}/oauth/revoke",
            "response_types_supported": [],  # there is no authorization endpoint: programs only
            "grant_types_supported": list(GRANTS),
            "token_endpoint_auth_methods_supported": AUTHENTICATION,
            "token_endpoint_auth_signing_alg_values_supported": ["HS256"],
            "revocation_endpoint_auth_methods_supported": AUTHENTICATION,
            "revocation_endpoint_auth_signing_alg_values_supported": ["HS256"],
            "scopes_supported": sorted(keys.SCOPES),
            "service_documentation": f"{base}/docs",
        }
    )
    answer["Cache-Control"] = "public, max-age=3600"
    return answer


def _check_form(request: HttpRequest) -> None:
    if request.content_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "Send the parameters as application/x-www-form-urlencoded.")
    if any(len(values) > 1 for _, values in request.POST.lists()):
        raise OAuthError("invalid_request", "A parameter may be given only once.")


def _assertion_grant(request: HttpRequest) -> KeyRecord:
    """RFC 7523, section 2.1: the assertion is the grant, and says who asks, too."""
    assertion = request.POST.get("assertion", "")
    if not assertion:
        raise OAuthError("invalid_request", "The parameter assertion is missing.")
    return clients.asserted(assertion, request, error="invalid_grant")


def _scopes(wanted: str, key: KeyRecord) -> frozenset[str]:
    scopes = frozenset(wanted.split())
    if not scopes <= key.scopes:
        raise OAuthError("invalid_scope", "The key does not have every scope that was asked for.")
    return scopes or key.scopes


def _no_store(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "no-store"
    answer["Pragma"] = "no-cache"
    return answer
