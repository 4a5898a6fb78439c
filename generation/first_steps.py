"""The way to a first picture over the API: make a key, copy two lines, see the picture arrive."""

from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _

from easel.identifiers import new_id
from easel.problems import invalid
from generation import runs, snippets
from generation.models import Generation
from tenants import key_changes
from tenants.audit import current_actor
from tenants.console import Visitor, console_page
from tenants.models import APIKey
from tenants.scope import tenant_scope

SCOPES: Final = ("generations:read", "generations:write")


@console_page({"GET": "keys.manage", "POST": "keys.manage"})
def first_steps(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    context: dict[str, object] = {"since": new_id()}
    if request.method == "POST":
        try:
            key, secret = key_changes.create(
                visitor.tenant_id,
                name=_("First steps"),
                scopes=SCOPES,
                mode=APIKey.Mode.LIVE,
                expires_at=None,
                allowed_networks=(),
                actor=current_actor(),
            )
        except key_changes.TooManyKeys:
            context["refusal"] = _(key_changes.TOO_MANY) % {"most": key_changes.MOST_KEYS}
        else:
            base_url = f"{request.scheme}://{request.get_host()}"
            call = snippets.first_call(
                base_url=base_url, public_id=key.public_id, secret=secret, prompt=_("a red apple, 3d render")
            )
            context |= {"key": key, "call": call}
    page = render(request, "console/first_steps.html", context)
    page["Cache-Control"] = "no-store"
    return page


@console_page({"GET": "keys.manage"})
def arrival(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Asked every other second: the first generation since the page was made, or nothing yet."""
    try:
        since = UUID(request.GET.get("since", ""))
    except ValueError as error:
        raise invalid("since", "invalid", "An id is needed.") from error
    with tenant_scope(visitor.tenant_id):
        newest = Generation.objects.filter(id__gt=since, erased_at=None).order_by("id").values_list("id", flat=True)
        found = newest.first()
        card = runs.one(visitor, found) if found else None
    if card is None:
        return HttpResponse(status=204)
    return render(request, "console/first_arrival.html", {"run": card})


urlpatterns = [
    path("console/first-steps", first_steps, name="first-steps"),
    path("console/first-steps/arrival", arrival, name="first-steps-arrival"),
]
