"""Public links in the console: made and withdrawn beside the picture that they show."""

from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from easel.problems import Problem
from generation import shares
from tenants.audit import current_actor
from tenants.console import Visitor, console_page

# How long a link may lead somewhere, in days; the empty one until it is withdrawn.
SPANS: Final = (
    ("1", gettext_lazy("for a day")),
    ("7", gettext_lazy("for a week")),
    ("30", gettext_lazy("for 30 days")),
    ("", gettext_lazy("until it is withdrawn")),
)


@console_page({"POST": "pictures.make"})
def make(request: HttpRequest, visitor: Visitor, generation_id: UUID, image_id: UUID) -> HttpResponse:
    span = request.POST.get("days", "")
    if span not in dict(SPANS):
        raise Http404
    try:
        shares.share(visitor.tenant_id, image_id, actor=current_actor(), days=int(span) if span else None)
    except Problem as problem:
        if problem.code != "quota_exceeded":
            raise
        messages.error(request, _("A picture has at most %(most)d links.") % {"most": shares.MOST_PER_IMAGE})
    return _beside(generation_id, image_id)


@console_page({"POST": "pictures.make"})
def withdraw(request: HttpRequest, visitor: Visitor, generation_id: UUID, share_id: UUID) -> HttpResponse:
    image_id = shares.revoke(visitor.tenant_id, share_id, actor=current_actor())
    messages.success(request, _("The link leads nowhere any more."))
    return _beside(generation_id, image_id)


def base_url(request: HttpRequest) -> str:
    """Where strangers reach us: the public address if one is set, or else the host of this page."""
    return str(settings.BASE_URL).rstrip("/") or f"{request.scheme}://{request.get_host()}"


def _beside(generation_id: UUID, image_id: UUID) -> HttpResponse:
    return redirect(f"{reverse('gallery-detail', args=[generation_id])}#share-{image_id}")


urlpatterns = [
    path("console/gallery/<uuid:generation_id>/images/<uuid:image_id>/share", make, name="gallery-share"),
    path("console/gallery/<uuid:generation_id>/shares/<uuid:share_id>/withdraw", withdraw, name="gallery-unshare"),
]
