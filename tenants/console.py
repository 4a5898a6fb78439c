"""The console's door: which tenant a page is about, and what its visitor may do there.

A page says which permission each of its methods needs; a method without one does not exist. A page that says nothing
can be looked at by every member. A suspended workspace can only be left.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, overload
from uuid import UUID

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase, HttpResponseNotAllowed

from easel.crypto import DataKey
from easel.problems import Problem
from easel.requests import client_address
from tenants import leading_away, permissions
from tenants.accounts import has_second_factor
from tenants.audit import Actor, acting
from tenants.keys import tenant_data_key
from tenants.leading_away import View, signed_in
from tenants.models import AuditRecord, Member, Tenant, User
from tenants.scope import person_scope, tenant_scope

CHOSEN: Final = "tenant"  # in the session: the tenant that a person of several looks at


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person in one of their tenants."""

    user: User
    tenant_id: UUID
    tenant_name: str
    role: str
    data_key: DataKey
    tenant: Tenant
    permissions: frozenset[str]

    @property
    def role_name(self) -> str:
        return str(Member.Role(self.role).label)


class NoTenant(Http404):
    """Signed in, and a member of nothing."""


@overload
def console_page(rule: View) -> View: ...


@overload
def console_page(rule: Mapping[str, str]) -> Callable[[View], View]: ...


def console_page(rule: View | Mapping[str, str]) -> View | Callable[[View], View]:
    """`@console_page`, or `@console_page({"GET": permission, "POST": permission})`. The view gets a visitor, too."""
    if callable(rule):
        return _page(rule, {"GET": permissions.VIEW})
    return lambda view: _page(view, rule)


def _page(view: View, needed: Mapping[str, str]) -> View:
    unknown = set(needed.values()) - permissions.PERMISSIONS.keys()
    if unknown:
        raise ValueError(f"There is no permission {min(unknown)!r}.")

    @wraps(view)
    @signed_in
    def page(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        permission = needed.get("GET" if request.method == "HEAD" else str(request.method))
        if permission is None:
            return HttpResponseNotAllowed(sorted(needed))
        try:
            visitor = visitor_of(request)
        except NoTenant:
            return leading_away.to_welcome(request)
        request.visitor = visitor  # type: ignore[attr-defined]  # for the frame around the page: tenants.navigation
        if _meant(request) not in {"", str(visitor.tenant_id)}:
            return leading_away.to_their_workspace(request)
        if visitor.tenant.frozen_at is not None and permission != permissions.LEAVE:
            return leading_away.to_suspended(request)
        if visitor.tenant.requires_two_factor and not has_second_factor(visitor.user):
            return leading_away.to_second_factor(request)
        if not permissions.may(visitor.role, permission):
            raise Problem("role_not_allowed", f"The role {visitor.role} may not do this. Ask an owner.")
        with acting(actor_of(request, visitor.user)):
            return view(request, visitor, **arguments)

    page.permissions = dict(needed)  # type: ignore[attr-defined]  # what the walk over all routes reads
    return page


def visitor_of(request: HttpRequest) -> Visitor:
    """Who is asking, in the tenant they chose, or else in the one they joined first. Raises Http404."""
    user = request.user
    if not isinstance(user, User):
        raise Http404
    member = _membership(user, request.session.get(CHOSEN))
    if member is None:
        raise NoTenant("You are not a member of any tenant.")
    with tenant_scope(member.tenant_id):
        tenant = Tenant.objects.get(id=member.tenant_id)
    return Visitor(
        user, tenant.id, tenant.name, member.role, tenant_data_key(tenant), tenant, permissions.of(member.role)
    )


def memberships(user: User) -> list[tuple[Tenant, Member]]:
    """Every tenant of the person. Each is read in a scope of its own: the web sees no tenant from outside."""
    with person_scope(user.id):
        members = list(Member.objects.order_by("created_at"))
    found = []
    for member in members:
        with tenant_scope(member.tenant_id):
            found.append((Tenant.objects.get(id=member.tenant_id), member))
    return found


def actor_of(request: HttpRequest, user: User) -> Actor:
    return Actor(kind=AuditRecord.Actor.PERSON, name=user.email, address=client_address(request))


def _meant(request: HttpRequest) -> str:
    """The workspace that the page was of which asks, as htmx's header or a form's field says (`workspace.js`). The
    session has one choice for all tabs: it may have changed in another one, or they may be a member there no more."""
    return request.headers.get("X-Workspace") or request.POST.get("workspace", "")


def _membership(user: User, chosen: str | None) -> Member | None:
    with person_scope(user.id):
        members = list(Member.objects.order_by("created_at"))
    return next((member for member in members if str(member.tenant_id) == chosen), members[0] if members else None)
