"""Pictures behind addresses that customers give. Fetching one keeps a thread of the web's for as long as the other side
likes, within a deadline, so only few are fetched at once; the others are asked to come back."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final
from uuid import UUID

from django.conf import settings

from easel import outbound
from easel.problems import Problem, invalid, storage_away
from easel.storage import ObjectMissing, StorageUnavailable
from generation import media
from generation.models import Image

FETCH_SECONDS: Final = 10.0
REDIRECTS: Final = 3
AT_ONCE: Final = 2  # in one process, which has four threads; one for each account
BUSY: Final = "Other pictures are being fetched. Try again, or send the picture itself."
OWN: Final = "Another picture of this account is being fetched. Let it end first, or send the picture itself."


def fetched(url: str, field: str, *, tenant_id: UUID) -> bytes:
    """What is at an address that a customer gave in a field. Each redirect is checked as the address was: none leads
    into our network. An image of theirs is read where it is kept, not over the network. Raises Problem."""
    if (own := media.shown_at(url, tenant_id=tenant_id)) is not None:
        return _kept(own, field)
    try:
        with _turn(tenant_id):
            answer = outbound.request(
                "GET", url, timeout=FETCH_SECONDS, max_bytes=settings.UPLOAD_MAX_BYTES, redirects=REDIRECTS
            )
    except outbound.RefusedAddress as error:
        raise invalid(field, "refused_address", error.reason) from error
    except outbound.Unreachable as error:
        raise invalid(field, "unreachable", error.reason) from error
    if answer.status != 200:
        raise invalid(field, "unreachable", f"The address answered {answer.status}.")
    if answer.truncated:
        raise invalid(field, "too_many_bytes", f"At most {settings.UPLOAD_MAX_BYTES} bytes.")
    return answer.body


def _kept(image: Image, field: str) -> bytes:
    try:
        return media.fetch(image)
    except ObjectMissing as error:
        raise invalid(field, "unreachable", "The image is not there any more.") from error
    except StorageUnavailable as error:
        raise storage_away(error) from error


@contextmanager
def _turn(tenant_id: UUID) -> Iterator[None]:
    """Nobody waits for it: whoever waited would keep a thread, too."""
    with _lock:
        if tenant_id in _fetching:
            raise Problem("rate_limited", OWN, headers={"Retry-After": "2"})
        if len(_fetching) >= AT_ONCE:
            raise Problem("overloaded", BUSY, headers={"Retry-After": "2"})
        _fetching.add(tenant_id)
    try:
        yield
    finally:
        with _lock:
            _fetching.discard(tenant_id)


_fetching: set[UUID] = set()
_lock = Lock()
