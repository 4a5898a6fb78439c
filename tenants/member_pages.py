"""The console's page of members: who belongs here, invitations, roles, leaving."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.mail import send_mail
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from easel.database import on_commit
from easel.ratelimit import guard
from tenants import membership, permissions
from tenants.accounts import public
from tenants.audit import current_actor
from tenants.console import Visitor, console_page
from tenants.models import Invitation, Member
from tenants.scope import tenant_scope

HOUR: Final = 3600
MAILS: Final = {"workspace": 60, "address": 5}  # an hour: nobody's mailbox is filled, in nobody's name


class Inviting(forms.Form):
    email = forms.EmailField(label=gettext_lazy("E-mail"), max_length=254)
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Member.Role.choices, initial=Member.Role.DEVELOPER)


@console_page({"GET": "members.view"})
def members_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    return _members(request, visitor, Inviting())


@console_page({"POST": "members.manage"})
def invite(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    form = Inviting(request.POST)
    if not form.is_valid():
        return _members(request, visitor, form)
    email, role = form.cleaned_data["email"], form.cleaned_data["role"]
    guard("invitation", {"workspace": str(visitor.tenant_id), "address": email.lower()}, limits=MAILS, seconds=HOUR)

    def act() -> None:
        invitation = membership.invite(
            visitor.tenant_id, email=email, role=role, by=visitor.user, by_role=visitor.role, actor=current_actor()
        )
        on_commit(lambda: _mail(request, visitor, invitation))

    return _done(request, act, _("The invitation is on its way."))


@console_page({"POST": "members.manage"})
def revoke_invitation(request: HttpRequest, visitor: Visitor, invitation_id: UUID) -> HttpResponse:
    def act() -> None:
        actor = current_actor()
        if not membership.revoke_invitation(visitor.tenant_id, invitation_id, by_role=visitor.role, actor=actor):
            raise Http404

    return _done(request, act, _("The invitation is withdrawn."))


@console_page({"POST": "members.manage"})
def change_role(request: HttpRequest, visitor: Visitor, member_id: UUID) -> HttpResponse:
    def act() -> None:
        if membership.change_role(
            visitor.tenant_id,
            member_id,
            role=request.POST.get("role", ""),
            by_role=visitor.role,
            actor=current_actor(),
        ) is None:  # fmt: skip
            raise Http404

    return _done(request, act, _("The role is changed."))


@console_page({"POST": "members.manage"})
def remove(request: HttpRequest, visitor: Visitor, member_id: UUID) -> HttpResponse:
    def act() -> None:
        actor = current_actor()
        if membership.remove(visitor.tenant_id, member_id, by_role=visitor.role, actor=actor) is None:
            raise Http404

    return _done(request, act, _("The member is removed."))


@console_page({"POST": permissions.LEAVE})
def leave(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    def act() -> None:
        with tenant_scope(visitor.tenant_id):
            own = Member.objects.get(user=visitor.user)
        membership.remove(visitor.tenant_id, own.id, by_role=visitor.role, actor=current_actor())

    return _done(request, act, _("You have left the workspace."), onward="workspaces")


def _done(request: HttpRequest, act: Callable[[], None], said: str, *, onward: str = "members") -> HttpResponse:
    """Do it and say so, or say which rule forbids it."""
    try:
        act()
    except membership.MembershipRefused as error:
        messages.error(request, str(error))
        return redirect("members")
    messages.success(request, said)
    return redirect(onward)


def _members(request: HttpRequest, visitor: Visitor, form: Inviting) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        members = list(Member.objects.select_related("user").order_by("created_at"))
        open_ones = Invitation.objects.filter(accepted_at=None, revoked_at=None, expires_at__gt=datetime.now(UTC))
        invitations = list(open_ones.order_by("created_at"))
    context = {
        "visitor": visitor,
        "members": members,
        "invitations": invitations,
        "form": form,
        "roles": Member.Role.choices,
    }
    return render(request, "console/members.html", context)


def _mail(request: HttpRequest, visitor: Visitor, invitation: Invitation) -> None:
    link = public(request.build_absolute_uri(reverse("invitation", args=[membership.link_word(invitation)])))
    context = {"visitor": visitor, "invitation": invitation, "link": link}
    subject = _("%(name)s: you are invited") % {"name": " ".join(visitor.tenant_name.split())}
    send_mail(subject, render_to_string("console/mail/invitation.txt", context), None, [invitation.email])


urlpatterns = [
    path("console/members", members_page, name="members"),
    path("console/members/invite", invite, name="invite-member"),
    path("console/members/leave", leave, name="leave-workspace"),
    path("console/members/<uuid:member_id>/role", change_role, name="change-role"),
    path("console/members/<uuid:member_id>/remove", remove, name="remove-member"),
    path("console/members/invitations/<uuid:invitation_id>/revoke", revoke_invitation, name="revoke-invitation"),
]
