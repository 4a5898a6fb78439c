"""Images of tenants that ask rest encrypted, drawn ones and given ones: each object under a content key of its own,
which its row keeps sealed under the tenant's data key. A rotation of the tenant's key therefore touches rows, never
objects."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final
from uuid import UUID

from easel.crypto import DataKey, open_data_key, open_sealed, seal
from easel.database import rows
from easel.sealed_file import SealedFile
from easel.storage import Storage
from generation.models import Image, Input

CONTEXT: Final = b"generation.image.key:"
OPAQUE: Final = "application/octet-stream"  # what the store is told it holds


def closed(tenant_id: UUID, object_key: str, used: SealedFile | None) -> bytes | None:
    """What the object's row keeps of how it was encrypted.

    The tenant's key is read and held in the caller's transaction: a rotation that finishes meanwhile waits for it, and
    so never drops a key that something was just sealed with.
    """
    if used is None:
        return None
    ((data_key, version),) = rows(
        "SELECT data_key, data_key_version FROM tenants_tenant WHERE id = %s FOR SHARE", [tenant_id]
    )
    return seal(used.packed, key=open_data_key(data_key, version), context=context(object_key))


def opened(image: Image | Input, key: DataKey) -> SealedFile | None:
    """How the image's object was encrypted; None: it was not. Raises TamperedSeal."""
    return unpacked(image.object_key, image.key_sealed, key)


def unpacked(object_key: str, key_sealed: bytes | memoryview | None, key: DataKey) -> SealedFile | None:
    """The same from what the row keeps."""
    if key_sealed is None:
        return None
    return SealedFile.unpack(open_sealed(key_sealed, key=key, context=context(object_key)))


def contents(
    store: Storage, object_key: str, used: SealedFile | None, span: tuple[int, int] | None = None
) -> Iterator[bytes]:
    """The file's bytes, or those of `span` (first and last), as the customer gets them. Raises storage errors at the
    first chunk and TamperedSeal before any byte that was altered."""
    if used is None:
        with closing(store.stream(object_key, span)) as stream:
            yield from stream
    elif span is None:
        with closing(store.stream(object_key)) as stream:
            yield from used.open_stream(stream)
    else:
        with closing(store.stream(object_key, used.span(*span))) as stream:
            yield from used.open_range(*span, stream)


def context(object_key: str) -> bytes:
    return CONTEXT + object_key.encode()
