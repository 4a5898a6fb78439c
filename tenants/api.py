"""`/v1/keys`: programs manage the keys of their tenant. No key can make or change one that may do more than itself."""

from datetime import timedelta
from typing import Any, ClassVar

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.problems import Problem, invalid
from easel.requests import client_address
from tenants import key_changes, key_powers
from tenants.audit import Actor
from tenants.authentication import principal_of
from tenants.kept_answers import NO_STORE, once
from tenants.key_forms import ChangedKey, NewKey, Rotation
from tenants.models import APIKey, AuditRecord
from tenants.scope import tenant_scope
from tenants.tokens import Principal


class KeyList(APIView):
    scopes: ClassVar = {"GET": "keys:read", "POST": "keys:write"}

    def get(self, request: Request) -> Response:
        """Every key the caller could manage, newest first. A test key sees test keys only."""
        principal = principal_of(request)
        with tenant_scope(principal.tenant_id):
            found = list(_within_reach(principal).order_by("-id"))
        return Response({"object": "list", "data": [describe(key) for key in found]})

    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        form = NewKey(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        key_powers.check_new(principal, asked)
        if principal.test_mode and asked["mode"] != APIKey.Mode.TEST:
            raise invalid("mode", "test_only", "A test key makes test keys only.")
        return once(request, lambda: _made(request, asked))


class KeyDetail(APIView):
    scopes: ClassVar = {"GET": "keys:read", "PATCH": "keys:write", "DELETE": "keys:write"}

    def get(self, request: Request, public_id: str) -> Response:
        return Response(describe(_load(request, public_id)))

    def patch(self, request: Request, public_id: str) -> Response:
        key = _load(request, public_id)
        key_powers.check_taken(principal_of(request), key)
        form = ChangedKey(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        if not form.validated_data:
            raise invalid("", "empty", "Name at least one field to change.")
        key_powers.check_taken(principal_of(request), key, form.validated_data)
        return Response(describe(key_changes.change(key, values=form.validated_data, actor=actor_of(request))))

    def delete(self, request: Request, public_id: str) -> Response:
        """Revoke it: within five seconds it opens nothing anywhere. Again: the same answer."""
        key = _load(request, public_id)
        key_powers.check_ended(principal_of(request), key)
        try:
            key_changes.revoke(key, actor=actor_of(request))
        except key_changes.ConsolesKey as error:
            raise Problem("insufficient_scope", str(error)) from error
        return Response(status=204)


class KeyRotation(APIView):
    scopes: ClassVar = {"POST": "keys:write"}

    def post(self, request: Request, public_id: str) -> Response:
        key = _load(request, public_id)
        key_powers.check_taken(principal_of(request), key)
        form = Rotation(data=request.data)
        form.is_valid(raise_exception=True)
        overlap = timedelta(seconds=form.validated_data["overlap_seconds"])
        return once(request, lambda: _rotated(request, key, overlap))


def _made(request: Request, asked: dict[str, Any]) -> Response:
    try:
        key, secret = key_changes.create(
            principal_of(request).tenant_id,
            name=asked["name"],
            scopes=set(asked["scopes"]),
            mode=asked["mode"],
            expires_at=asked.get("expires_at"),
            allowed_networks=asked.get("allowed_networks", []),
            actor=actor_of(request),
        )
    except key_changes.TooManyKeys as error:
        raise Problem("quota_exceeded", str(error)) from error
    return Response(describe(key) | {"secret": secret}, status=201, headers=NO_STORE)


def _rotated(request: Request, key: APIKey, overlap: timedelta) -> Response:
    try:
        secret = key_changes.rotate(key, overlap=overlap, actor=actor_of(request))
    except key_changes.ConsolesKey as error:
        raise Problem("insufficient_scope", str(error)) from error
    if secret is None:
        raise Problem("already_finished", "This key was revoked.")
    return Response(describe(_load(request, key.public_id)) | {"secret": secret}, headers=NO_STORE)


def describe(key: APIKey) -> dict[str, Any]:
    """The key without its secret."""
    moments = ("created_at", "expires_at", "last_used_at", "revoked_at")
    return {
        "object": "key",
        "id": key.public_id,
        "name": key.name,
        "mode": key.mode,
        "scopes": sorted(key.scopes),
        "allowed_networks": key.allowed_networks,
        "previous_secret_until": _moment(key.previous_until),
        **{name: _moment(getattr(key, name)) for name in moments},
    }


def actor_of(request: Request) -> Actor:
    key = principal_of(request).key
    return Actor(kind=AuditRecord.Actor.KEY, name=key.public_id, address=client_address(request._request))


def _within_reach(principal: Principal) -> Any:
    found = APIKey.objects.all()
    return found.filter(mode=APIKey.Mode.TEST) if principal.test_mode else found


def _load(request: Request, public_id: str) -> APIKey:
    principal = principal_of(request)
    with tenant_scope(principal.tenant_id):
        key: APIKey | None = _within_reach(principal).filter(public_id=public_id).first()
    if key is None:
        raise Problem("not_found", "There is no such key.")
    return key


def _moment(when: Any) -> str | None:
    return when.isoformat().replace("+00:00", "Z") if when else None


urlpatterns = [
    path("v1/keys", KeyList.as_view(), name="keys"),
    path("v1/keys/<str:public_id>", KeyDetail.as_view(), name="key"),
    path("v1/keys/<str:public_id>/rotate", KeyRotation.as_view(), name="key-rotation"),
]
