"""Taking a delivered image down: its rows, its copies, its links, what the cache knows of it, and its file.

Links of ours (`/media/`, `/s/`) look at the row, and end with it. A presigned address of the store leads to the file:
it ends when the file is deleted, right after the transaction; where the store does not answer, the clock tries again.
"""

from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from easel.database import changed, on_commit, rows
from easel.identifiers import new_id
from easel.storage import StorageUnavailable, storage
from generation import cache, thumbnails
from tenants import audit

TAKEN_DOWN: Final = Counter("easel_images_taken_down", "Delivered images that were taken down, copies too.")

log = structlog.get_logger(__name__)

# Whoever hands a copy over at this moment holds a lock on the row that it copies, whichever that is. It is waited for
# in a statement of its own, so that the one that removes sees the copy; in one order, so that no two wait in a circle.
_LOCK: Final = """
SELECT object_key FROM generation_image WHERE tenant_id = %(tenant)s AND object_key = (
    SELECT object_key FROM generation_image WHERE tenant_id = %(tenant)s AND id = %(image)s
) ORDER BY id FOR UPDATE
"""
_REMOVE: Final = """
DELETE FROM generation_image WHERE tenant_id = %s AND object_key = %s RETURNING id, generation_id, index
"""
_REVOKE: Final = """
UPDATE generation_share SET revoked_at = now() WHERE tenant_id = %s AND image_id = ANY(%s) AND revoked_at IS NULL
"""
_DOOM: Final = """
INSERT INTO generation_doomedobject (id, tenant_id, object_key) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
_SAY: Final = """
UPDATE generation_generation SET warnings = array_append(warnings, %s) WHERE tenant_id = %s AND id = %s
"""
TAKEN: Final = "Image {index} was taken down after a complaint."


def take_down(tenant_id: UUID, image_id: UUID, *, reason: str) -> int:
    """In the caller's transaction, under the platform role. How many images are gone, copies included; 0 where it was
    gone before. What was paid stays paid."""
    locked = rows(_LOCK, {"tenant": tenant_id, "image": image_id})
    if not locked:
        return 0
    ((object_key,), *_) = locked
    gone = rows(_REMOVE, [tenant_id, object_key])
    changed(_REVOKE, [tenant_id, [each for each, _, _ in gone]])
    changed(_DOOM, [new_id(), tenant_id, object_key])
    cache.forget(tenant_id, {generation_id for _, generation_id, _ in gone})
    for each, generation_id, index in gone:
        changed(_SAY, [TAKEN.format(index=index), tenant_id, generation_id])
        audit.record(
            "image.taken_down", tenant_id=tenant_id, object_kind="image", object_id=each, details={"reason": reason}
        )
    on_commit(lambda: _delete(object_key, len(gone)))
    return len(gone)


def _delete(object_key: str, count: int) -> None:
    TAKEN_DOWN.inc(count)
    try:
        storage().delete(object_key)
        storage().delete(thumbnails.key_of(object_key))
    except StorageUnavailable as error:
        log.warning("takedown.file_left_to_the_clock", error=str(error))
