"""Whether pictures that are there already may be handed to whoever asks now: they are measured anew, by the policy of
the key that asks as it is at this moment, whatever was made of them when they were drawn."""

import json
from typing import Final
from uuid import UUID

from easel.database import planned
from generation import sharing
from moderation import images
from moderation.categories import Action

_READINGS: Final = """
SELECT reading FROM generation_image WHERE tenant_id = %s AND generation_id = %s AND released_at IS NOT NULL
"""


def judged(tenant_id: UUID, key_id: UUID | None, generation_id: UUID) -> Action:
    """Needs the tenant's scope or the platform role."""
    readings = [_loaded(reading) for (reading,) in planned(_READINGS, [tenant_id, generation_id])]
    return images.reused(tenant_id, key_id, generation_id, readings)


def _loaded(reading: str | None) -> dict[str, object] | None:
    return None if reading is None else json.loads(reading)


def register() -> None:
    sharing.on_reuse(judged)
