"""Whether pictures that are there already may be handed to whoever asks now: they are measured anew, by the policy of
the key that asks as it is at this moment, whatever was made of them when they were drawn."""

from uuid import UUID

from generation import sharing
from generation.copies import Original
from moderation import images
from moderation.categories import Action


def judged(tenant_id: UUID, key_id: UUID | None, original: Original) -> Action:
    """Needs the tenant's scope or the platform role."""
    return images.reused(tenant_id, key_id, original.found, original.readings)


def register() -> None:
    sharing.on_reuse(judged)
