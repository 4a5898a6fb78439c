"""The console's pages of webhooks: endpoints, their secrets, a test message, and the log of what was delivered."""

from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from easel import outbound
from easel.pages import cursor_of, page_of
from easel.problems import Problem
from tenants import endpoints, webhooks
from tenants.audit import current_actor
from tenants.console import Visitor, console_page
from tenants.models import WebhookDelivery, WebhookEndpoint
from tenants.scope import tenant_scope
from tenants.webhooks import SUBSCRIBABLE

SHOWN: Final = 25
MANAGE: Final = "webhooks.manage"

SAID: Final = {
    "generation.completed": gettext_lazy("A generation has its pictures"),
    "generation.failed": gettext_lazy("A generation came to nothing"),
    "generation.canceled": gettext_lazy("A generation was canceled"),
    "generation.rejected": gettext_lazy("Moderation let no picture through"),
    "generation.in_review": gettext_lazy("A generation waits for the platform's staff"),
    "generation.released": gettext_lazy("Staff let pictures through that had waited"),
    "balance.low": gettext_lazy("50, 80 or 100 percent of credits or of a spend cap are used"),
    "quota.low": gettext_lazy("50, 80 or 100 percent of a quota are used"),
    "appeal.resolved": gettext_lazy("An appeal was decided"),
    "complaint.resolved": gettext_lazy("A complaint was decided"),
}


class EndpointForm(forms.Form):
    url = forms.URLField(
        label=gettext_lazy("Address"),
        max_length=2000,
        assume_scheme="https",
        help_text=gettext_lazy("Where to POST the events: https, and no private address."),
        widget=forms.URLInput(attrs={"placeholder": "https://example.org/hooks/easel", "autocomplete": "off"}),
    )
    description = forms.CharField(label=gettext_lazy("Description"), max_length=200, required=False)
    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        choices=[(kind, SAID.get(kind, kind)) for kind in SUBSCRIBABLE],
        initial=["generation.completed", "generation.failed"],
        widget=forms.CheckboxSelectMultiple,
    )

    def clean_url(self) -> str:
        """Looked up now so that a mistake shows at once; each delivery looks again."""
        value = str(self.cleaned_data["url"])
        try:
            outbound.check(value)
        except outbound.RefusedAddress as error:
            raise forms.ValidationError(error.reason) from error
        except outbound.Unreachable:
            pass  # a host may get its name later
        return value


@console_page({"GET": MANAGE, "POST": MANAGE})
def webhooks_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """All endpoints; a POST makes one, and shows its secret this once."""
    form = EndpointForm(request.POST or None)
    shown: dict[str, Any] = {"made": None, "secret": ""}
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        try:
            with tenant_scope(visitor.tenant_id):
                made, secret = endpoints.create(
                    visitor.tenant_id, url=asked["url"], kinds=asked["kinds"], description=asked["description"],
                    actor=current_actor(),
                )  # fmt: skip
        except endpoints.TooManyEndpoints:
            form.add_error(None, _(endpoints.TOO_MANY) % {"most": endpoints.MOST})
        else:
            shown, form = {"made": made, "secret": secret}, EndpointForm()
    with tenant_scope(visitor.tenant_id):
        listed = list(WebhookEndpoint.objects.filter(is_default=False).order_by("-id"))
    context = {"visitor": visitor, "form": form, "endpoints": listed, **shown}
    return _secret(render(request, "console/webhooks/page.html", context))


@console_page({"GET": MANAGE, "POST": MANAGE})
def endpoint_page(request: HttpRequest, visitor: Visitor, endpoint_id: UUID) -> HttpResponse:
    """One endpoint: what it listens to, and what was delivered. A POST changes it."""
    with tenant_scope(visitor.tenant_id):
        endpoint = endpoints.load(endpoint_id)
    given = {"url": endpoint.url, "description": endpoint.description, "kinds": endpoint.kinds}
    form = EndpointForm(request.POST or None, initial=given)
    if request.method == "POST" and form.is_valid():
        with tenant_scope(visitor.tenant_id):
            endpoints.change(endpoint, actor=current_actor(), **form.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("webhook-page", endpoint_id=endpoint_id)
    return _endpoint(request, visitor, endpoint, form)


@console_page({"POST": MANAGE})
def rotate_secret(request: HttpRequest, visitor: Visitor, endpoint_id: UUID) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        endpoint = endpoints.load(endpoint_id)
        secret = endpoints.rotate(endpoint, key=visitor.data_key, actor=current_actor())
    given = {"url": endpoint.url, "description": endpoint.description, "kinds": endpoint.kinds}
    return _endpoint(request, visitor, endpoint, EndpointForm(initial=given), secret=secret)


@console_page({"POST": MANAGE})
def switch(request: HttpRequest, visitor: Visitor, endpoint_id: UUID) -> HttpResponse:
    """On or off. What was disabled because it failed begins anew."""
    on = request.POST.get("on") == "1"
    with tenant_scope(visitor.tenant_id):
        endpoints.change(endpoints.load(endpoint_id), enabled=on, actor=current_actor())
    messages.success(request, _("The endpoint is on.") if on else _("The endpoint is off."))
    return redirect("webhook-page", endpoint_id=endpoint_id)


@console_page({"POST": MANAGE})
def delete(request: HttpRequest, visitor: Visitor, endpoint_id: UUID) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        endpoints.delete(endpoints.load(endpoint_id), actor=current_actor())
    messages.success(request, _("The endpoint and its log are gone."))
    return redirect("webhooks-page")


@console_page({"POST": MANAGE})
def send_test(request: HttpRequest, visitor: Visitor, endpoint_id: UUID) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        endpoint = endpoints.load(endpoint_id)
        if endpoint.disabled_at is None:
            endpoints.send_test(endpoint)
            messages.success(request, _("A test message is on its way. What comes of it is in the log."))
        else:
            messages.error(request, _("This endpoint is off. Switch it on first."))
    return redirect("webhook-page", endpoint_id=endpoint_id)


@console_page({"POST": MANAGE})
def redeliver(request: HttpRequest, visitor: Visitor, delivery_id: UUID) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        delivery = endpoints.load_delivery(delivery_id)
        try:
            endpoints.redeliver(visitor.tenant_id, delivery_id)
        except Problem:
            messages.error(request, _("It was attempted too often to be sent again."))
        else:
            messages.success(request, _("It is sent again now."))
    if delivery.endpoint.is_default:
        return redirect("webhooks-page")
    return redirect("webhook-page", endpoint_id=delivery.endpoint_id)


def _endpoint(
    request: HttpRequest, visitor: Visitor, endpoint: WebhookEndpoint, form: EndpointForm, *, secret: str = ""
) -> HttpResponse:
    before = cursor_of(request.GET)
    with tenant_scope(visitor.tenant_id):
        found = WebhookDelivery.objects.select_related("event").filter(endpoint=endpoint).order_by("-id")
        if before is not None:
            found = found.filter(id__lt=before)
        deliveries, cursor = page_of(list(found[: SHOWN + 1]), SHOWN)
    context = {
        "visitor": visitor, "endpoint": endpoint, "form": form, "secret": secret, "deliveries": deliveries,
        "older": f"{reverse('webhook-page', args=[endpoint.id])}?cursor={cursor}" if cursor else "",
        "overlap_hours": webhooks.ROTATION_OVERLAP.days * 24,
    }  # fmt: skip
    return _secret(render(request, "console/webhooks/endpoint.html", context))


def _secret(page: HttpResponse) -> HttpResponse:
    page["Cache-Control"] = "no-store"
    return page


urlpatterns = [
    path("console/webhooks", webhooks_page, name="webhooks-page"),
    path("console/webhooks/<uuid:endpoint_id>", endpoint_page, name="webhook-page"),
    path("console/webhooks/<uuid:endpoint_id>/rotate", rotate_secret, name="webhook-page-rotate"),
    path("console/webhooks/<uuid:endpoint_id>/switch", switch, name="webhook-page-switch"),
    path("console/webhooks/<uuid:endpoint_id>/delete", delete, name="webhook-page-delete"),
    path("console/webhooks/<uuid:endpoint_id>/test", send_test, name="webhook-page-test"),
    path("console/webhooks/deliveries/<uuid:delivery_id>/redeliver", redeliver, name="webhook-page-redeliver"),
]
