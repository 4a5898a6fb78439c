"""`/media/<token>`: a released image for whoever holds a signed address that has not expired."""

import time
from typing import Final
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_safe

from easel.problems import Problem
from easel.storage import ObjectMissing, StorageUnavailable, storage
from generation.models import Image
from tenants.scope import tenant_scope

SALT: Final = "easel.media"


def address(image: Image, *, base_url: str) -> str:
    """A URL for one image, good for `MEDIA_URL_SECONDS`. Valid on whatever host `base_url` names."""
    return f"{base_url}/media/{_token(image)}"


@require_safe
def media(request: HttpRequest, token: str) -> HttpResponse:
    """Redirects to the store where it has a public endpoint, and otherwise passes the file on."""
    tenant_id, image_id, expires = _read(token)
    with tenant_scope(tenant_id):
        image = Image.objects.filter(id=image_id, released_at__isnull=False).first()
    if image is None:
        raise Http404
    try:
        public = storage().presigned_get(image.object_key, max(1, expires - int(time.time())))
        if public is not None:
            return HttpResponseRedirect(public)
        body = storage().get(image.object_key)
    except ObjectMissing as error:
        raise Http404 from error
    except StorageUnavailable as error:
        raise Problem("overloaded", "The image store does not answer. Try again.") from error
    return _file(image, body, seconds=max(0, expires - int(time.time())))


def fetch(image: Image) -> bytes:
    """The image's file. Raises storage errors."""
    return storage().get(image.object_key)


def _file(image: Image, body: bytes, *, seconds: int) -> HttpResponse:
    response = HttpResponse(body, content_type=image.content_type)
    response["Cache-Control"] = f"private, max-age={seconds}, immutable"
    response["ETag"] = f'"{image.sha256}"'
    response["Content-Disposition"] = f"inline; filename={quote(filename(image))}"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def filename(image: Image) -> str:
    return f"easel-{image.generation_id}-{image.index}.{image.content_type.removeprefix('image/')}"


def _token(image: Image) -> str:
    expires = int(time.time()) + settings.MEDIA_URL_SECONDS
    return signing.dumps([image.tenant_id.hex, image.id.hex, expires], salt=SALT)


def _read(token: str) -> tuple[UUID, UUID, int]:
    """Whose image the token opens. A forged, cut or expired one opens nothing: 404."""
    try:
        tenant, image, expires = signing.loads(token, salt=SALT)
        if expires < time.time():
            raise Http404("This address has expired.")
        return UUID(tenant), UUID(image), int(expires)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise Http404 from error
