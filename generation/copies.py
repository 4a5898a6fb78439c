"""Handing pictures that are there already to an equal request: rows that refer to the same objects, not files.

The images handed over are locked as they are read, so that what is taken down at this very moment is either not handed
over, or taken down afterwards with its copy.
"""

import json
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from easel.database import Question, answers, columns_of, row_of, rows
from easel.identifiers import new_id
from generation.models import Image
from moderation import findings
from moderation.findings import Finding

# Whatever an image's row says of its file is true of the copy, too.
_OWN: Final = {"id", "generation_id", "created_at"}
_SHARED: Final = ", ".join(str(field.column) for field in Image._meta.concrete_fields if field.column not in _OWN)

# A copy is complete or none: as many released images as were asked for.
_TAKE: Final = """
SELECT image.id, image.reading, g.n, image.key_sealed IS NOT NULL, g.seed, g.steps_run, g.model_version, g.warnings,
    g.receipt
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
    """A completed generation whose released images are locked for the length of the transaction; with what its images'
    models read in them (`Judgment.reading`), and what was said of them."""

    generation_id: UUID
    image_ids: tuple[UUID, ...]
    readings: tuple[dict[str, Any] | None, ...]
    found: list[Finding]
    seed: int
    steps_run: int
    model_version: str
    warnings: list[str]
    receipt: dict[str, Any]


def take(tenant_id: UUID, source_id: UUID, *, standing: bool) -> Original | None:
    """None where it has ended otherwise, or not all of its images are released; with `standing`, also where the cache
    was told to forget it."""
    parameters = {"tenant": tenant_id, "source": source_id, "standing": standing}
    taken, found = answers(Question(_TAKE, parameters, _whole), findings.of_pictures(tenant_id, source_id))
    if not taken:
        return None
    _, _, _, sealed, seed, steps_run, model_version, warnings, receipt = taken[0]
    if sealed:  # a rotation of the tenant's key waits until the copies, with keys sealed under it, are committed
        rows("SELECT 1 FROM tenants_tenant WHERE id = %s FOR SHARE", [tenant_id])
    return Original(
        generation_id=source_id, image_ids=tuple(row[0] for row in taken), found=found, seed=seed, steps_run=steps_run,
        readings=tuple(None if row[1] is None else json.loads(row[1]) for row in taken), model_version=model_version,
        warnings=warnings, receipt=json.loads(receipt),
    )  # fmt: skip


def _whole(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return found if found and len(found) == found[0][2] else []


def give(original: Original, *, tenant_id: UUID, generation_id: UUID) -> list[Image]:
    """The other generation's own images, in their order."""
    return giving(original, tenant_id=tenant_id, generation_id=generation_id).ask()


def giving(original: Original, *, tenant_id: UUID, generation_id: UUID) -> Question[list[Image]]:
    """The same, to be asked with others, after the other generation's row."""
    ids = [new_id() for _ in original.image_ids]
    parameters = {"tenant": tenant_id, "generation": generation_id, "sources": list(original.image_ids), "ids": ids}

    def read(found: list[tuple[Any, ...]]) -> list[Image]:
        return sorted((row_of(Image, values) for values in found), key=lambda image: image.index)

    return Question(_GIVE, parameters, read)
