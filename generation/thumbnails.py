"""Small WebP pictures for the console's lists: made when first asked for, then kept in the store beside their image.

An image's thumbnail has its object's name with an ending, and goes when the object goes (`duties`). One of an encrypted
image is sealed under the tenant's key; after a rotation it is made anew. `/thumbnails/<token>` shows one to whoever
holds the signed address, of a released image alone; `blurring` has what is shown of one that waits for staff.
"""

import io
import time
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from PIL import Image as PILImage

from easel.crypto import CryptoError, DataKey, open_sealed, seal
from easel.database import changed, rows
from easel.identifiers import new_id
from easel.problems import Problem, storage_away
from easel.storage import ObjectMissing, StorageUnavailable, storage
from generation import media
from generation.models import Image
from tenants.keys import data_key_of
from tenants.scope import tenant_scope

ENDING: Final = ".thumbnail"
EDGE: Final = 360  # pixels
CONTENT_TYPE: Final = "image/webp"
CONTEXT: Final = b"generation.thumbnail:"
_signer = signing.Signer(salt="easel.thumbnail")

log = structlog.get_logger(__name__)


def address(tenant_id: UUID, image_id: UUID) -> str:
    """Good for one to two `MEDIA_URL_SECONDS`, and the same within one, so that browsers keep what they have."""
    expires = (int(time.time()) // settings.MEDIA_URL_SECONDS + 2) * settings.MEDIA_URL_SECONDS
    word = _signer.sign_object([tenant_id.hex, image_id.hex, expires])
    return f"/thumbnails/{word}"


@require_safe
def thumbnail(request: HttpRequest, token: str) -> HttpResponse:
    tenant_id, image_id, expires = _read(token)
    with tenant_scope(tenant_id):
        image = Image.objects.filter(id=image_id, released_at__isnull=False, tenant__frozen_at=None).first()
    if image is None:
        raise Http404
    tag = f'"{EDGE}-{image.sha256[:32]}"'
    if request.headers.get("If-None-Match") == tag:
        answer = HttpResponse(status=304)
    else:
        answer = HttpResponse(_contents(image), content_type=CONTENT_TYPE)
    answer["ETag"] = tag
    answer["Cache-Control"] = f"private, max-age={max(0, expires - int(time.time()))}"
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


def key_of(object_key: str) -> str:
    return object_key + ENDING


def make(image: Image) -> bytes:
    """A WebP file of the image, at most EDGE pixels long. Raises storage errors and CryptoError."""
    return _webp(media.fetch(image), EDGE)


def _contents(image: Image) -> bytes:
    try:
        return _kept(image) or _make_and_keep(image)
    except ObjectMissing as error:
        raise Http404 from error
    except StorageUnavailable as error:
        raise storage_away(error) from error
    except CryptoError as error:
        log.exception("thumbnails.unreadable", image=str(image.id))
        raise Problem("internal_error", "The stored image is damaged.") from error


def _kept(image: Image) -> bytes | None:
    try:
        data = storage().get(key_of(image.object_key))
    except ObjectMissing:
        return None
    key = _key(image)
    if key is None:
        return data
    try:
        return open_sealed(data, key=key, context=_context(image))
    except CryptoError:
        return None  # sealed before the tenant's key was rotated; the image itself can be opened


def _make_and_keep(image: Image) -> bytes:
    data, key, object_key = make(image), _key(image), key_of(image.object_key)
    with tenant_scope(image.tenant_id):  # a process that dies from here on leaves a note for the clock
        changed(
            "INSERT INTO generation_objectintent (id, tenant_id, object_key) VALUES (%s, %s, %s) "
            "ON CONFLICT (tenant_id, object_key) DO NOTHING",
            [new_id(), image.tenant_id, object_key],
        )
    kept = data if key is None else seal(data, key=key, context=_context(image))
    storage().put(object_key, kept, CONTENT_TYPE if key is None else "application/octet-stream")
    _adopt(image, object_key)
    return data


def _adopt(image: Image, object_key: str) -> None:
    """It stays if its image does: one that was erased or taken down meanwhile takes its thumbnail along."""
    with tenant_scope(image.tenant_id):
        there = rows(
            "SELECT 1 FROM generation_image WHERE tenant_id = %s AND object_key = %s AND released_at IS NOT NULL "
            "LIMIT 1 FOR SHARE",
            [image.tenant_id, image.object_key],
        )
        if not there:
            changed(
                "INSERT INTO generation_doomedobject (id, tenant_id, object_key) VALUES (%s, %s, %s) "
                "ON CONFLICT (tenant_id, object_key) DO NOTHING",
                [new_id(), image.tenant_id, object_key],
            )
        changed(
            "DELETE FROM generation_objectintent WHERE tenant_id = %s AND object_key = %s",
            [image.tenant_id, object_key],
        )


def _key(image: Image) -> DataKey | None:
    if image.key_sealed is None:
        return None
    with tenant_scope(image.tenant_id):
        return data_key_of(image.tenant_id)


def _context(image: Image) -> bytes:
    return CONTEXT + image.object_key.encode()


def _webp(data: bytes, edge: int) -> bytes:
    with PILImage.open(io.BytesIO(data)) as picture:
        picture.draft("RGB", (edge, edge))  # a JPEG is decoded no larger than needed
        small = picture.convert("RGB")
    small.thumbnail((edge, edge), PILImage.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "webp", quality=72, method=4)
    return file.getvalue()


def _read(token: str) -> tuple[UUID, UUID, int]:
    try:
        tenant, image, expires = _signer.unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise Http404 from error
    if expires < time.time():
        raise Http404("This address has expired.")
    return UUID(tenant), UUID(image), int(expires)
