"""DRF's door: a Bearer token becomes a `Principal`, and each view says which scope each method needs."""

from typing import TYPE_CHECKING

import structlog
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from easel.problems import CHALLENGE, Problem
from easel.requests import client_address
from tenants import last_use, tokens
from tenants.keys import KeyRecord
from tenants.tokens import Principal, TokenRefused

if TYPE_CHECKING:  # rest_framework.views itself imports this module, which the settings name
    from rest_framework.views import APIView


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer …` only; a token in the query string is not looked at."""

    def authenticate(self, request: Request) -> tuple[Principal, str]:
        token = _bearer(request.headers.get("Authorization", ""))
        principal = admit(
            token, key_hint=request.headers.get("X-API-Key", ""), address=client_address(request._request)
        )
        structlog.contextvars.bind_contextvars(tenant=str(principal.tenant_id))
        return principal, token

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def admit(token: str, *, key_hint: str, address: str) -> Principal:
    """Whoever holds this token, asking from this address; or the Problem that says why not. Reads the database."""
    try:
        principal = tokens.verify(token, key_hint=key_hint)
    except TokenRefused as error:
        raise refused(error) from error
    may_enter(principal.key, address)
    last_use.note(principal.key)
    return principal


def may_enter(key: KeyRecord, address: str) -> None:
    """A key that was proven still opens nothing for a suspended tenant, or from outside its networks."""
    if key.tenant_frozen_at is not None:
        raise Problem("tenant_suspended", "This account is suspended. Ask the platform's staff.")
    if not key.admits(address):
        raise Problem("address_not_allowed", "This API key may not be used from this address.")


class HasScope(BasePermission):
    """The view's `scopes` maps each method to the scope it needs. A method without an entry is nobody's."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        scopes: dict[str, str] = getattr(view, "scopes", {})
        needed = scopes.get("GET" if request.method == "HEAD" else str(request.method))
        if needed is None:
            raise MethodNotAllowed(str(request.method))
        if needed not in principal_of(request).scopes:
            challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{needed}"'
            raise Problem(
                "insufficient_scope", f"This needs the scope {needed}.", headers={"WWW-Authenticate": challenge}
            )
        return True


def principal_of(request: Request) -> Principal:
    """Whoever `BearerAuthentication` let in."""
    principal: Principal = request.user  # type: ignore[assignment]  # DRF's stubs know only Django's users
    return principal


def refused(error: TokenRefused) -> Problem:
    """The 401 of RFC 6750. The details of `TokenRefused` are ASCII without quotes, as its header demands."""
    challenge = f'{CHALLENGE}, error="invalid_token", error_description="{error.detail}"'
    return Problem(error.code, error.detail, headers={"WWW-Authenticate": challenge})


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Problem("token_missing", "Send an access token: Authorization: Bearer <token>.")
    return token.strip()
