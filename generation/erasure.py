"""Deleting a generation: its words, its tags, its images and what the customer attached. The row stays for the books,
hidden. A picture that was given for it goes with the last generation that uses it, at the clock's next round after a
day.

What is unfinished is stopped first; what waits for staff waits no more. A running one has no words from then on; its
worker still holds them, and when it comes home its objects are doomed instead of adopted.
"""

from typing import Final
from uuid import UUID

from easel.database import changed, rows
from generation import cache, cancel
from tenants.scope import tenant_scope

_ERASE: Final = """
UPDATE generation_generation SET erased_at = now(), unscreened = false,
    status = CASE WHEN status = 'in_review' THEN 'canceled' ELSE status END,
    prompt_sealed = ''::bytea, negative_prompt_sealed = ''::bytea,
    metadata = '{}', warnings = '{}', init_image_id = NULL, mask_id = NULL
WHERE tenant_id = %(tenant)s AND id = %(id)s AND erased_at IS NULL RETURNING id
"""

# Two that share an object, deleted at once, would each leave it to the other. The lock is a statement of its own, so
# that the next one sees what it waited for; and in one order, so that no two wait in a circle.
_LOCK_SHARERS: Final = """
SELECT 1 FROM generation_image WHERE tenant_id = %(tenant)s AND object_key IN (
    SELECT object_key FROM generation_image WHERE tenant_id = %(tenant)s AND generation_id = %(id)s
) ORDER BY id FOR UPDATE
"""

# An object may be shared by an image that was answered from the cache: it goes with its last reference.
_DOOM_IMAGES: Final = """
WITH gone AS (
    DELETE FROM generation_image WHERE tenant_id = %(tenant)s AND generation_id = %(id)s
    RETURNING id, tenant_id, object_key
)
INSERT INTO generation_doomedobject (id, tenant_id, object_key)
SELECT id, tenant_id, object_key FROM gone WHERE NOT EXISTS (
    SELECT 1 FROM generation_image other
    WHERE other.object_key = gone.object_key AND other.tenant_id = gone.tenant_id AND other.generation_id <> %(id)s
)
ON CONFLICT (tenant_id, object_key) DO NOTHING
"""

_FORGET_LINKS: Final = """
DELETE FROM generation_share share USING generation_image image
WHERE share.tenant_id = %(tenant)s AND image.tenant_id = %(tenant)s AND image.id = share.image_id
    AND image.generation_id = %(id)s
"""


def erase(tenant_id: UUID, generation_id: UUID) -> bool:
    """False where the tenant has no such generation (any more). Credits that were charged stay charged."""
    parameters = {"tenant": tenant_id, "id": generation_id}
    with tenant_scope(tenant_id):
        cancel.stop(tenant_id, [generation_id])
        if not rows(_ERASE, parameters):
            return False
        changed(_FORGET_LINKS, parameters)
        rows(_LOCK_SHARERS, parameters)
        changed(_DOOM_IMAGES, parameters)
        changed("DELETE FROM generation_tag WHERE tenant_id = %(tenant)s AND generation_id = %(id)s", parameters)
        cache.forget(tenant_id, [generation_id])
    return True
