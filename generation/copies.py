"""Handing pictures that are there already to an equal request: rows that refer to the same objects, not files.

The images handed over are locked as they are read, so that what is taken down at this very moment is either not handed
over, or taken down afterwards with its copy.
"""

import json
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from easel.database import columns_of, planned, row_of, rows
from easel.identifiers import new_id
from generation.models import Image

# Whatever an image's row says of its file is true of the copy, too.
_OWN: Final = {"id", "generation_id", "created_at"}
_SHARED: Final = ", ".join(str(field.column) for field in Image._meta.concrete_fields if field.column not in _OWN)

# A copy is complete or none: as many released images as were asked for.
_TAKE: Final = """
SELECT image.id, g.seed, g.n, g.steps_run, g.model_version, g.warnings, g.receipt, image.key_sealed IS NOT NULL
FROM generation_generation g JOIN generation_image image ON image.tenant_id = g.tenant_id AND image.generation_id = g.id
WHERE g.tenant_id = %(tenant)s AND g.id = %(source)s AND g.status = 'completed' AND image.released_at IS NOT NULL
    AND (%(standing)s = false OR EXISTS (
        SELECT 1 FROM generation_cachedresult entry WHERE entry.tenant_id = %(tenant)s AND entry.generation_id = g.id))
ORDER BY image.index FOR SHARE OF image
"""

_GIVE: Final = f"""
INSERT INTO generation_image (id, generation_id, {_SHARED})
SELECT fresh.id, %(generation)s, {_SHARED} FROM generation_image source
JOIN unnest(%(sources)s::uuid[], %(ids)s::uuid[]) AS fresh(source_id, id) ON fresh.source_id = source.id
WHERE source.tenant_id = %(tenant)s
RETURNING {columns_of(Image)}
"""  # noqa: S608  column names from our own model


@dataclass(frozen=True, slots=True)
class Original:
    """A completed generation whose released images are locked for the length of the transaction."""

    generation_id: UUID
    image_ids: tuple[UUID, ...]
    seed: int
    steps_run: int
    model_version: str
    warnings: list[str]
    receipt: dict[str, Any]


def take(tenant_id: UUID, source_id: UUID, *, standing: bool) -> Original | None:
    """None where it has ended otherwise, or not all of its images are released; with `standing`, also where the cache
    was told to forget it."""
    found: list[tuple[Any, ...]] = planned(_TAKE, {"tenant": tenant_id, "source": source_id, "standing": standing})
    if not found or len(found) != found[0][2]:
        return None
    _, seed, _, steps_run, model_version, warnings, receipt, sealed = found[0]
    if sealed:  # a rotation of the tenant's key waits until the copies, with keys sealed under it, are committed
        rows("SELECT 1 FROM tenants_tenant WHERE id = %s FOR SHARE", [tenant_id])
    image_ids = tuple(row[0] for row in found)
    return Original(source_id, image_ids, seed, steps_run, model_version, warnings, json.loads(receipt))


def give(original: Original, *, tenant_id: UUID, generation_id: UUID) -> list[Image]:
    """The other generation's own images, in their order."""
    ids = [new_id() for _ in original.image_ids]
    parameters = {"tenant": tenant_id, "generation": generation_id, "sources": list(original.image_ids), "ids": ids}
    given = [row_of(Image, values) for values in planned(_GIVE, parameters)]
    return sorted(given, key=lambda image: image.index)
