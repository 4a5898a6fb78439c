"""The console's page of API keys. A secret is on the page that made it, once."""

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from easel.problems import Problem
from tenants import key_changes, key_powers, keys
from tenants.audit import current_actor
from tenants.console import Visitor, console_page
from tenants.key_forms import MOST_NETWORKS, NetworkField
from tenants.models import APIKey
from tenants.scope import tenant_scope

OVERLAP_HOURS: Final = (0, 1, 24, 168)


class NewKeyForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    mode = forms.ChoiceField(label=gettext_lazy("Mode"), choices=APIKey.Mode.choices, initial=APIKey.Mode.LIVE)
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("It may"),
        initial=["generations:read", "generations:write"],
        widget=forms.CheckboxSelectMultiple,
    )
    networks = forms.CharField(
        label=gettext_lazy("Only from these networks, one a line"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "192.0.2.0/24"}),
    )

    def __init__(self, *args: Any, role: str, **options: Any) -> None:
        super().__init__(*args, **options)
        may = key_powers.grantable(role, keys.SCOPES)
        offered = [(name, f"{name}: {_(said)}") for name, said in keys.SCOPES.items() if name in may]
        self.fields["scopes"].choices = offered  # type: ignore[attr-defined]  # it is one of choices

    def clean_networks(self) -> list[str]:
        from rest_framework.serializers import ValidationError

        lines = [line.strip() for line in self.cleaned_data["networks"].splitlines() if line.strip()]
        if len(lines) > MOST_NETWORKS:
            raise forms.ValidationError(_("At most %(most)s networks.") % {"most": MOST_NETWORKS})
        field = NetworkField(max_length=43)
        try:
            return [field.run_validation(line) for line in lines]
        except ValidationError as error:
            raise forms.ValidationError(_("Write networks as 192.0.2.0/24, one a line.")) from error


@console_page({"GET": "keys.view", "POST": "keys.manage"})
def keys_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    form = NewKeyForm(request.POST or None, role=visitor.role)
    shown: dict[str, object] = {}
    if request.method == "POST" and form.is_valid():
        try:
            key, secret = key_changes.create(
                visitor.tenant_id,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                mode=form.cleaned_data["mode"],
                expires_at=None,
                allowed_networks=form.cleaned_data["networks"],
                actor=current_actor(),
            )
            shown, form = {"key": key, "secret": secret}, NewKeyForm(role=visitor.role)
        except key_changes.TooManyKeys:
            form.add_error(None, _(key_changes.TOO_MANY) % {"most": key_changes.MOST_KEYS})
    return _page(request, visitor, form, shown)


@console_page({"POST": "keys.manage"})
def rotate(request: HttpRequest, visitor: Visitor, public_id: str) -> HttpResponse:
    key = _load(visitor, public_id)
    hours = request.POST.get("hours", "0")
    if hours not in map(str, OVERLAP_HOURS):
        raise Http404
    _check_reach(visitor, key)
    try:
        secret = key_changes.rotate(key, overlap=timedelta(hours=int(hours)), actor=current_actor())
    except key_changes.ConsolesKey:
        return _not_the_consoles(request)
    if secret is None:
        messages.error(request, _("This key was revoked."))
        return redirect("keys-page")
    return _page(request, visitor, NewKeyForm(role=visitor.role), {"key": key, "secret": secret})


@console_page({"POST": "keys.manage"})
def revoke(request: HttpRequest, visitor: Visitor, public_id: str) -> HttpResponse:
    key = _load(visitor, public_id)
    _check_reach(visitor, key)
    try:
        key_changes.revoke(key, actor=current_actor())
    except key_changes.ConsolesKey:
        return _not_the_consoles(request)
    messages.success(request, _("The key opens nothing any more."))
    return redirect("keys-page")


def _check_reach(visitor: Visitor, key: APIKey) -> None:
    if _is_beyond(visitor, key):
        raise Problem("role_not_allowed", gettext_noop("This key may do more than your role. Ask an admin."))


def _is_beyond(visitor: Visitor, key: APIKey) -> bool:
    return bool(set(key.scopes) - key_powers.grantable(visitor.role, key.scopes))


def _not_the_consoles(request: HttpRequest) -> HttpResponse:
    messages.error(request, _("The console draws under this key. Set a spend cap for it instead."))
    return redirect("keys-page")


def _load(visitor: Visitor, public_id: str) -> APIKey:
    with tenant_scope(visitor.tenant_id):
        key: APIKey | None = APIKey.objects.filter(public_id=public_id).first()
    if key is None:
        raise Http404
    return key


def _page(request: HttpRequest, visitor: Visitor, form: NewKeyForm, shown: dict[str, object]) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        listed = list(APIKey.objects.order_by("revoked_at", "-id"))
    beyond = {key.id for key in listed if _is_beyond(visitor, key)}
    context = {
        "visitor": visitor,
        "form": form,
        "keys": listed,
        "beyond": beyond,
        "overlaps": OVERLAP_HOURS,
        **shown,
    }
    page = render(request, "console/keys.html", context)
    page["Cache-Control"] = "no-store"
    return page


urlpatterns = [
    path("console/keys", keys_page, name="keys-page"),
    path("console/keys/<str:public_id>/rotate", rotate, name="rotate-key"),
    path("console/keys/<str:public_id>/revoke", revoke, name="revoke-key"),
]
