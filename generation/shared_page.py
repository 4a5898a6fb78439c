"""`/s/<word>`: the public page of a shared picture. No sign-in, and nothing of the tenant's but the picture.

It says that the picture was made by AI, and anybody can complain about it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_POST, require_safe

from easel.fields import lines
from easel.ratelimit import guard, network
from easel.requests import client_address
from easel.words import ids_in, word_for
from generation import media, shares
from generation.shares import Shared
from moderation import complaints
from moderation.complaints import LONGEST, REASONS, Filing
from moderation.models import Complaint
from tenants import audit
from tenants.keys import data_key_of
from tenants.models import AuditRecord
from tenants.scope import tenant_scope

RECEIPT: Final = "receipt"
HOUR: Final = 3600
Page = Callable[..., HttpResponseBase]


def _visited(view: Page) -> Page:
    """404 unless the link leads somewhere now. Nothing of it is kept by anybody, nor found by search engines."""

    @wraps(view)
    def visited(request: HttpRequest, word: str) -> HttpResponseBase:
        shared = shares.visit(word)
        if shared is None:
            raise Http404
        response = view(request, word, shared)
        response["X-Robots-Tag"] = "noindex, noimageindex"
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response

    return visited


@require_safe
@_visited
def page(request: HttpRequest, word: str, shared: Shared) -> HttpResponse:
    return render(request, "shared/picture.html", _context(word, shared))


@require_safe
@_visited
def picture(request: HttpRequest, word: str, shared: Shared) -> HttpResponseBase:
    """The file, always through us: what is taken down or revoked is gone at the next look."""
    response = media.passed_on(request, shared.image, shared.key, cached="private, no-cache")
    response["Content-Disposition"] = f"inline; filename=easel.{shared.image.content_type.removeprefix('image/')}"
    return response


@require_POST
@_visited
def complain(request: HttpRequest, word: str, shared: Shared) -> HttpResponseBase:
    reason, text = request.POST.get("reason", ""), lines(request.POST.get("text", "")).strip()
    if reason not in REASONS or len(text) > LONGEST:
        context = _context(word, shared) | {"wrong": True, "reason": reason, "text": text[:LONGEST]}
        return render(request, "shared/picture.html", context, status=400)
    counted = {"address": network(client_address(request)), "picture": str(shared.image.id)}
    guard("complaint", counted, limits=settings.COMPLAINTS_PER_HOUR, seconds=HOUR)
    image = shared.image
    # Without the address: the tenant reads this log, and whoever complains must not have to fear them.
    with audit.acting(audit.Actor(kind=AuditRecord.Actor.SYSTEM, name="public page")):
        filed = _file(image.tenant_id, image.generation_id, image.id, image.index, reason=reason, text=text)
    return redirect("complaint-receipt", word=word_for(RECEIPT, image.tenant_id, filed.id))


@require_safe
def receipt(request: HttpRequest, word: str) -> HttpResponse:
    """What came of a complaint, for whoever has its address."""
    ids = ids_in(RECEIPT, word)
    if ids is None or len(ids) != 2:
        raise Http404
    with tenant_scope(ids[0]):
        filed = Complaint.objects.filter(id=ids[1]).first()
    if filed is None:
        raise Http404
    response = render(request, "shared/receipt.html", {"complaint": filed})
    response["Cache-Control"], response["X-Robots-Tag"] = "private, no-store", "noindex"
    return response


def _file(tenant_id: UUID, generation_id: UUID, image_id: UUID, index: int, *, reason: str, text: str) -> Complaint:
    filing = Filing(
        tenant_id=tenant_id, generation_id=generation_id, image_id=image_id, image_index=index, reason=reason,
        text=text, source=Complaint.Source.PAGE,
    )  # fmt: skip
    with tenant_scope(tenant_id):
        return complaints.file(filing, data_key=data_key_of(tenant_id))


def _context(word: str, shared: Shared) -> dict[str, Any]:
    return {"word": word, "image": shared.image, "reasons": REASONS, "longest": LONGEST}


urlpatterns = [
    path("s/<str:word>", page, name="shared-picture"),
    path("s/<str:word>/picture", picture, name="shared-picture-file"),
    path("s/<str:word>/complaints", complain, name="shared-picture-complaint"),
    path("complaints/<str:word>", receipt, name="complaint-receipt"),
]
