"""The console's door: signing in, signing out, and which tenant a page is about."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import path

from easel.crypto import DataKey
from easel.ratelimit import guarded_sign_in
from tenants.keys import tenant_data_key
from tenants.models import Member, Tenant, User
from tenants.scope import person_scope, tenant_scope


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person in one of their tenants."""

    user: User
    tenant_id: UUID
    tenant_name: str
    role: str
    data_key: DataKey


def console_page(
    view: Callable[..., HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """A page for members: anybody else is sent to sign in, and somebody without a tenant finds nothing. The view takes
    the request, the visitor, and what its path captured."""

    @wraps(view)
    @login_required
    def page(request: HttpRequest, **captured: Any) -> HttpResponseBase:
        return view(request, visitor_of(request), **captured)

    return page


def visitor_of(request: HttpRequest) -> Visitor:
    user = request.user
    if not isinstance(user, User):
        raise Http404
    with person_scope(user.id):
        member = Member.objects.order_by("created_at").first()
    if member is None:
        raise Http404("You are not a member of any tenant.")
    with tenant_scope(member.tenant_id):
        tenant = Tenant.objects.get(id=member.tenant_id)
    return Visitor(user, tenant.id, tenant.name, member.role, tenant_data_key(tenant))


class SignIn(LoginView):
    template_name = "console/sign_in.html"
    redirect_authenticated_user = True


def home(request: HttpRequest) -> HttpResponse:
    return redirect("console")


urlpatterns = [
    path("", home, name="home"),
    path("console/sign-in", guarded_sign_in(SignIn.as_view()), name="sign-in"),
    path("console/sign-out", LogoutView.as_view(next_page="sign-in"), name="sign-out"),
]
