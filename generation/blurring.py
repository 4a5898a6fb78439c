"""`/media/blurred/<token>`: what a customer sees of an image that waits for staff."""

import time
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

import moderation.blurring
from easel.crypto import CryptoError
from easel.problems import Problem
from easel.storage import ObjectMissing
from generation import media
from generation.models import Image
from tenants.scope import tenant_scope

SALT: Final = "easel.media.blurred"


def address(image: Image, *, base_url: str) -> str:
    """Good for `MEDIA_URL_SECONDS`, on whatever host `base_url` names."""
    expires = int(time.time()) + settings.MEDIA_URL_SECONDS
    token = signing.dumps([image.tenant_id.hex, image.id.hex, expires], salt=SALT)
    return f"{base_url}/media/blurred/{token}"


@require_safe
def blurred(request: HttpRequest, token: str) -> HttpResponse:
    """404 for a forged or expired token, for what was rejected or has gone, and for a frozen tenant's."""
    tenant_id, image_id = _read(token)
    with tenant_scope(tenant_id):
        image = Image.objects.filter(id=image_id, rejected_at=None, tenant__frozen_at=None).first()
    if image is None:
        raise Http404
    try:
        data = moderation.blurring.blurred(media.fetch(image))
    except ObjectMissing as error:
        raise Http404 from error
    except CryptoError as error:
        raise Problem("internal_error", "The stored image is damaged and was not sent.") from error
    headers = {"Cache-Control": "private, max-age=300", "Content-Security-Policy": "default-src 'none'; sandbox"}
    return HttpResponse(data, content_type="image/jpeg", headers=headers)


def _read(token: str) -> tuple[UUID, UUID]:
    try:
        tenant, image, expires = signing.loads(token, salt=SALT)
        if expires < time.time():
            raise Http404("This address has expired.")
        return UUID(tenant), UUID(image)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise Http404 from error
