"""The model of a request, in one statement that is put together once: every submission asks it.

What may be asked for is the rule of `routing.usable`, which lists them for pages.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from easel.database import Question, columns_of, row_of
from generation.models import Model, Pool

BACKUP_NAME: Final = "backup"  # the service of EASEL_BACKUP_URL, as a model
_WIDTH: Final = len(Model._meta.local_concrete_fields)

# A tenant's own model goes before everybody's of the same name, category or rank: NULLs sort last.
_PICK: Final = f"""
SELECT {columns_of(Model, of="model")}, {columns_of(Pool, of="pool")}, {{own}} AS own, {{fits}} AS fits
FROM generation_model model JOIN generation_pool pool ON pool.id = model.pool_id {{join}}
WHERE model.enabled AND model.retired_at IS NULL AND (model.tenant_id IS NULL OR model.tenant_id = %(tenant)s)
    AND NOT (model.tenant_id IS NULL AND model.name = '{BACKUP_NAME}')
    AND (NOT model.restricted OR model.tenant_id = %(tenant)s OR EXISTS (
        SELECT 1 FROM generation_modelaccess given WHERE given.tenant_id = %(tenant)s AND given.model_id = model.id))
    AND ({{which}})
ORDER BY own DESC, fits DESC, model.tenant_id, model.created_at LIMIT 1
"""  # noqa: S608  names from our own models
_NAMED: Final = _PICK.format(own="false", fits="true", join="", which="model.name = %(name)s")
_FITS: Final = "coalesce(model.categories @> to_jsonb(%(category)s::text), false)"
_FOR_CATEGORY: Final = _PICK.format(
    own="chosen.id IS NOT NULL",
    fits=_FITS,
    join="LEFT JOIN generation_routeoverride chosen ON chosen.model_id = model.id AND chosen.tenant_id = %(tenant)s "
    "AND chosen.category = %(category)s::text",
    which=f"chosen.id IS NOT NULL OR {_FITS} OR model.is_default",
)


@dataclass(frozen=True, slots=True)
class Pick:
    """A model, and why: the tenant chose it for the category (`own`), or it is meant for the category (`fits`)."""

    model: Model
    own: bool
    fits: bool


def named(tenant_id: UUID, name: str) -> Question[Pick | None]:
    """The model of that name that the current tenant may use."""
    return Question(_NAMED, {"tenant": tenant_id, "name": name}, _picked)


def for_category(tenant_id: UUID, category: str | None) -> Question[Pick | None]:
    """The tenant's choice for the category, or a model that is meant for it, or the default one; where the category is
    not known, the default one."""
    return Question(_FOR_CATEGORY, {"tenant": tenant_id, "category": category}, _picked)


def _picked(found: list[tuple[Any, ...]]) -> Pick | None:
    for *values, own, fits in found:
        model = row_of(Model, values[:_WIDTH])
        model.pool = row_of(Pool, values[_WIDTH:])
        return Pick(model, own, fits)
    return None
