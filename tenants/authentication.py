"""DRF's door: a Bearer token becomes a `Principal`, and each view says which scope each method needs."""

from typing import TYPE_CHECKING, Any

import structlog
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from easel.problems import Problem
from tenants import tokens
from tenants.tokens import Principal, TokenRefused

if TYPE_CHECKING:  # rest_framework.views itself imports this module, which the settings name
    from rest_framework.views import APIView

CHALLENGE = 'Bearer realm="easel"'


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer …` only; a token in the query string is not looked at."""

    def authenticate(self, request: Request) -> tuple[Principal, str]:
        token = _bearer(request)
        try:
            principal = tokens.verify(token, key_hint=request.headers.get("X-API-Key", ""))
        except TokenRefused as error:
            raise refused(error) from error
        if principal.key.tenant_frozen_at is not None:
            raise Problem("tenant_suspended", "This account is suspended. Ask the platform's staff.")
        structlog.contextvars.bind_contextvars(tenant=str(principal.tenant_id))
        return principal, token

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class HasScope(BasePermission):
    """The view's `scopes` maps each method to the scope it needs. A method without an entry is refused to all."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        scopes: dict[str, str] = getattr(view, "scopes", {})
        needed = scopes.get("GET" if request.method == "HEAD" else str(request.method))
        principal: Any = request.user
        if needed is None or needed not in principal.scopes:
            raise Problem("insufficient_scope", f"This needs the scope {needed or 'of another method'}.")
        return True


def principal_of(request: Request) -> Principal:
    """Whoever `BearerAuthentication` let in."""
    principal: Principal = request.user  # type: ignore[assignment]  # DRF's stubs know only Django's users
    return principal


def refused(error: TokenRefused) -> Problem:
    challenge = f'{CHALLENGE}, error="invalid_token", error_description="{error.detail}"'
    return Problem(error.code, error.detail, headers={"WWW-Authenticate": challenge})


def _bearer(request: Request) -> str:
    words = get_authorization_header(request).split()
    if not words or words[0].lower() != b"bearer":
        raise Problem(
            "token_missing",
            "Send an access token: Authorization: Bearer <token>.",
            headers={"WWW-Authenticate": CHALLENGE},
        )
    try:
        (encoded,) = words[1:]
        return encoded.decode("ascii")
    except ValueError as error:
        raise refused(TokenRefused("token_invalid", "Send one token in ASCII after Bearer.")) from error
