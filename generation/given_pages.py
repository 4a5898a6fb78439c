"""A picture to start from, shown again in the playground where a link or an earlier run names it by its id."""

from uuid import UUID

import structlog
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse

from easel.crypto import CryptoError
from easel.problems import Problem
from easel.storage import ObjectMissing
from generation import inputs, media
from generation.models import Image, Input
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

log = structlog.get_logger(__name__)


def address(named: str) -> str:
    """Where a browser sees the picture; empty where there is none such. Needs the tenant's scope."""
    try:
        picture_id = UUID(named)
    except ValueError:
        return ""
    image = Image.objects.filter(id=picture_id, released_at__isnull=False).first()
    if image is not None:
        return media.address(image, base_url="")
    given = Input.objects.filter(id=picture_id).exists()
    return reverse("given-picture", args=[picture_id]) if given else ""


@console_page({"GET": "pictures.make"})
def given_picture(request: HttpRequest, visitor: Visitor, file_id: UUID) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        given = Input.objects.filter(id=file_id).first()
    if given is None:
        raise Http404
    try:
        answer = HttpResponse(inputs.contents(given, visitor.data_key), content_type="image/png")
    except ObjectMissing as error:
        raise Http404 from error
    except CryptoError as error:
        log.exception("inputs.unreadable", input=str(given.id))
        raise Problem("internal_error", "The stored image is damaged and was not sent.") from error
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


urlpatterns = [path("console/playground/given/<uuid:file_id>", given_picture, name="given-picture")]
