"""Pages about workspaces (tenants): the ones a person has, a new one, switching, joining by invitation, settings."""

import re
from typing import Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.i18n import set_language

from tenants import audit, founding, membership
from tenants.accounts import INVITED, confirmed_addresses, has_second_factor
from tenants.console import CHOSEN, Visitor, actor_of, console_page, memberships
from tenants.leading_away import signed_in
from tenants.models import Tenant, User
from tenants.scope import tenant_scope

ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]{1,190}(:[0-9]{1,5})?")
MOST_ORIGINS: Final = 20


def home(request: HttpRequest) -> HttpResponse:
    return redirect("console")


def person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user


class NewWorkspace(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name of the workspace"), max_length=150)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def welcome(request: HttpRequest) -> HttpResponse:
    """For whoever belongs to no workspace yet, or wants another one."""
    user = person(request)
    form = NewWorkspace(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            founding.ask(user, form.cleaned_data["name"])
        except founding.FoundingRefused as error:
            form.add_error("name", str(error))
        else:
            return redirect("workspaces")
    context = {"form": form, "waiting": founding.waiting(user), "open": founding.is_open()}
    return render(request, "console/welcome.html", context)


@signed_in
@require_GET
def workspaces(request: HttpRequest) -> HttpResponse:
    user = person(request)
    context = {
        "memberships": memberships(user),
        "waiting": founding.waiting(user),
        "open": founding.is_open(),
    }
    return render(request, "console/workspaces.html", context)


@signed_in
@require_GET
def ready(request: HttpRequest) -> HttpResponse:
    """Asked by the waiting page: leads on once the workspace is there."""
    if founding.waiting(person(request)):
        return HttpResponse(status=204)
    return HttpResponse(status=204, headers={"HX-Redirect": reverse("console")})


@signed_in
@require_GET
def menu(request: HttpRequest) -> HttpResponse:
    """The list inside the frame's switcher, fetched when it is opened: pages do not pay for it."""
    context = {"memberships": memberships(person(request)), "open": founding.is_open()}
    return render(request, "console/workspaces_menu.html", context)


@signed_in
@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Look at another of one's workspaces. One that is not one's own is not there."""
    wanted = request.POST.get("tenant", "")
    if wanted not in {str(tenant.id) for tenant, _member in memberships(person(request))}:
        raise Http404
    request.session[CHOSEN] = wanted
    return redirect("console")


@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, word: str) -> HttpResponse:
    """The link of an invitation: sign in or up first, then accept."""
    found = membership.open_invitation(word)
    if found is None:
        raise Http404
    if not isinstance(request.user, User):
        request.session[INVITED] = request.path
        return render(request, "console/invitation.html", {"invitation": found})
    user = request.user
    if request.method == "POST":
        try:
            membership.accept(found, user, addresses=confirmed_addresses(user), actor=actor_of(request, user))
        except membership.MembershipRefused as error:
            messages.error(request, str(error))
        else:
            request.session.pop(INVITED, None)
            request.session[CHOSEN] = str(found.tenant_id)
            return redirect("console")
    return render(request, "console/invitation.html", {"invitation": found, "user": user})


class Settings(forms.ModelForm[Tenant]):
    origins = forms.CharField(
        label=gettext_lazy("Web pages that may follow event streams with a ticket (CORS), one a line"),
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "https://app.example.org"}),
        required=False,
    )

    class Meta:
        model = Tenant
        fields = ["name", "requires_two_factor"]
        labels = {
            "name": gettext_lazy("Name"),
            "requires_two_factor": gettext_lazy("Every member needs a second factor"),
        }

    def clean_origins(self) -> list[str]:
        listed = [line.strip().lower() for line in self.cleaned_data["origins"].splitlines() if line.strip()]
        wrong = next((line for line in listed if not ORIGIN.fullmatch(line)), None)
        if wrong is not None:
            raise forms.ValidationError(_("Write an origin as https://app.example.org, without a path."))
        if len(listed) > MOST_ORIGINS:
            raise forms.ValidationError(_("At most %(most)s origins.") % {"most": MOST_ORIGINS})
        return list(dict.fromkeys(listed))


@console_page({"GET": "tenant.change", "POST": "tenant.change"})
def settings_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    tenant = visitor.tenant
    form = Settings(request.POST or None, instance=tenant, initial={"origins": "\n".join(tenant.allowed_origins)})
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["requires_two_factor"] and not has_second_factor(visitor.user):
            form.add_error("requires_two_factor", _("Set up a second factor of your own first."))
        else:
            _save(visitor.tenant_id, form)
            messages.success(request, _("Saved."))
            return redirect("workspace-settings")
    return render(request, "console/settings.html", {"visitor": visitor, "form": form})


def _save(tenant_id: UUID, form: Settings) -> None:
    tenant = form.instance
    tenant.allowed_origins = form.cleaned_data["origins"]
    changed = ["name", "requires_two_factor", "allowed_origins"]
    with tenant_scope(tenant_id):
        tenant.save(update_fields=changed)
        details = {name: getattr(tenant, name) for name in changed}
        audit.record("tenant.changed", tenant_id=tenant_id, object_kind="tenant", object_id=tenant_id, details=details)


urlpatterns = [
    path("", home, name="home"),
    path("console/welcome", welcome, name="welcome"),
    path("console/workspaces", workspaces, name="workspaces"),
    path("console/language", set_language, name="set_language"),
    path("console/welcome/ready", ready, name="workspace-ready"),
    path("console/workspaces/menu", menu, name="workspaces-menu"),
    path("console/workspaces/switch", switch, name="switch-workspace"),
    path("console/invitations/<str:word>", invitation, name="invitation"),
    path("console/settings", settings_page, name="workspace-settings"),
]
