"""`/media/<token>`: a released image for whoever holds a signed address that has not expired. A frozen tenant has none.

Encrypted images, and all where the store has no public address, pass through here. What fits into memory is checked
to its last byte before the first one is sent, and holds no thread while a slow client reads; more is streamed, and
cut off where it was altered. One range of bytes can be asked for (RFC 9110, section 14).
"""

import re
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote
from uuid import UUID

import structlog
from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from easel.crypto import CryptoError, DataKey
from easel.problems import Problem, storage_away
from easel.storage import ObjectMissing, StorageUnavailable, storage
from generation import sealed_images
from generation.models import Image
from tenants.keys import data_key_of
from tenants.scope import tenant_scope

SALT: Final = "easel.media"
WHOLE_BYTES: Final = 8 * 1024 * 1024
_ADDRESS: Final = re.compile(r"https?://[^/?#]+/media/([^/?#]+)", re.ASCII | re.IGNORECASE)
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)

log = structlog.get_logger(__name__)


def address(image: Image, *, base_url: str) -> str:
    """A URL for one image, good for `MEDIA_URL_SECONDS`. Valid on whatever host `base_url` names."""
    return f"{base_url}/media/{_token(image)}"


def shown_at(url: str, *, tenant_id: UUID) -> Image | None:
    """The tenant's image that an address of ours shows, whatever we are called in it: its signature says that it is
    ours. None for every other address, also for those of others' images and for those that have expired."""
    found = _ADDRESS.fullmatch(url)
    try:
        owner, image_id, _ = _read(found[1] if found else "")
    except Http404:
        return None
    if owner != tenant_id:
        return None
    with tenant_scope(tenant_id):
        image: Image | None = Image.objects.filter(id=image_id, released_at__isnull=False).first()
    return image


@require_safe
def media(request: HttpRequest, token: str) -> HttpResponseBase:
    """Redirects to the store where it has a public endpoint and the file rests in clear; otherwise passes it on."""
    tenant_id, image_id, expires = _read(token)
    with tenant_scope(tenant_id):
        image = Image.objects.filter(id=image_id, released_at__isnull=False, tenant__frozen_at=None).first()
        key = data_key_of(tenant_id) if image is not None and image.key_sealed is not None else None
    if image is None:
        raise Http404
    seconds = max(0, expires - int(time.time()))
    if key is None:
        public = storage().presigned_get(image.object_key, max(1, seconds))
        if public is not None:
            return HttpResponseRedirect(public)
    return passed_on(request, image, key, cached=f"private, max-age={seconds}, immutable")


def passed_on(request: HttpRequest, image: Image, key: DataKey | None, *, cached: str) -> HttpResponseBase:
    """The file through us, whole or in part. `cached` says for how long others may keep it."""
    if request.headers.get("If-None-Match") == _etag(image):
        return _headed(HttpResponse(status=304), image, cached)
    return _headed(_answer(image, key, _asked_range(request, image)), image, cached)


def fetch(image: Image) -> bytes:
    """The image's file, in clear. Needs neither scope nor role. Raises storage errors and TamperedSeal."""
    key = None
    if image.key_sealed is not None:
        with tenant_scope(image.tenant_id):
            key = data_key_of(image.tenant_id)
    return b"".join(_contents(image, key, None))


def _answer(image: Image, key: DataKey | None, span: tuple[int, int] | None) -> HttpResponseBase:
    size = image.bytes if span is None else span[1] - span[0] + 1
    body = _contents(image, key, span)
    response: HttpResponseBase
    try:
        if size <= WHOLE_BYTES:
            response = HttpResponse(b"".join(body), content_type=image.content_type)
        else:
            first = next(body, b"")  # whatever is wrong with the store shows before the status is sent
            response = StreamingHttpResponse(_rest(first, body, image), content_type=image.content_type)
            response["Content-Length"] = str(size)
    except ObjectMissing as error:
        raise Http404 from error
    except StorageUnavailable as error:
        raise storage_away(error) from error
    except CryptoError as error:
        log.exception("media.unreadable", image=str(image.id))
        raise Problem("internal_error", "The stored image is damaged and was not sent.") from error
    if span is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {span[0]}-{span[1]}/{image.bytes}"
    return response


def _contents(image: Image, key: DataKey | None, span: tuple[int, int] | None) -> Iterator[bytes]:
    used = None if key is None else sealed_images.opened(image, key)
    return sealed_images.contents(storage(), image.object_key, used, span)


def _rest(first: bytes, body: Iterator[bytes], image: Image) -> Iterator[bytes]:
    """The length was announced: where the file turns out to be altered, the connection ends before it is reached."""
    yield first
    try:
        yield from body
    except CryptoError:
        log.exception("media.unreadable", image=str(image.id))
        raise


def _headed(response: HttpResponseBase, image: Image, cached: str) -> HttpResponseBase:
    response["Cache-Control"] = cached
    response["ETag"] = _etag(image)
    response["Accept-Ranges"] = "bytes"
    response["Content-Disposition"] = f"inline; filename={quote(filename(image))}"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def filename(image: Image) -> str:
    return f"easel-{image.generation_id}-{image.index}.{image.content_type.removeprefix('image/')}"


def _asked_range(request: HttpRequest, image: Image) -> tuple[int, int] | None:
    """First and last byte, or None for all of it. What is no range of ours is ignored, as the RFC allows."""
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or request.headers.get("If-Range", _etag(image)) != _etag(image):
        return None
    start, end = asked.groups()
    if not start:
        first, last = max(0, image.bytes - int(end or "0")), image.bytes - 1
    else:
        first, last = int(start), min(int(end or image.bytes), image.bytes - 1)
    if end and start and int(end) < int(start):
        return None  # not a range at all
    if first > last or (not start and not int(end or "0")):
        detail = f"The file has {image.bytes} bytes."
        raise Problem("range_not_satisfiable", detail, headers={"Content-Range": f"bytes */{image.bytes}"})
    return first, last


def _etag(image: Image) -> str:
    return f'"{image.sha256}"'


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
