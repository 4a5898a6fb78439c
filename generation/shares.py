"""Public links to images: whoever has one sees the picture until the link is revoked, runs out, or the picture is gone.

All of it is looked up at every visit. A link tells nothing of its tenant: it is a word that only we can read.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from easel.crypto import DataKey
from easel.database import changed
from easel.identifiers import new_id
from easel.problems import Problem
from easel.words import ids_in, word_for
from generation.models import Image, Share
from tenants import audit
from tenants.audit import Actor
from tenants.keys import data_key_of
from tenants.models import Tenant
from tenants.scope import tenant_scope

KIND: Final = "share"
MOST_PER_IMAGE: Final = 20
LONGEST_DAYS: Final = 3_650


@dataclass(frozen=True, slots=True)
class Shared:
    """What a visitor with a good link gets to see."""

    image: Image
    key: DataKey | None  # where the object is encrypted
    share_id: UUID


def share(tenant_id: UUID, image_id: UUID, *, actor: Actor, days: int | None) -> Share:
    """A new link to a released image. Raises Problem."""
    now = datetime.now(UTC)
    expires = now + timedelta(days=days) if days is not None else None
    with tenant_scope(tenant_id):
        _image(image_id)
        leading = Share.objects.filter(image_id=image_id, revoked_at=None).exclude(expires_at__lte=now)
        if leading.count() >= MOST_PER_IMAGE:
            raise Problem("quota_exceeded", f"An image has at most {MOST_PER_IMAGE} links. Revoke one.")
        made: Share = Share.objects.create(
            id=new_id(), tenant_id=tenant_id, image_id=image_id, created_by=actor.name, expires_at=expires
        )
        made.refresh_from_db()
        _record("share.created", made, actor)
    return made


def of_image(tenant_id: UUID, image_id: UUID) -> list[Share]:
    """The newest first. Raises Problem."""
    with tenant_scope(tenant_id):
        _image(image_id)
        return list(Share.objects.filter(image_id=image_id).order_by("-id"))


def revoke(tenant_id: UUID, share_id: UUID, *, actor: Actor) -> UUID:
    """From now on the link leads nowhere. Returns the image's id. Raises Problem."""
    with tenant_scope(tenant_id):
        known = Share.objects.filter(id=share_id).first()
        if known is None:
            raise Problem("not_found", "There is no such link.")
        if changed("UPDATE generation_share SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL", [share_id]):
            _record("share.revoked", known, actor)
    image_id: UUID = known.image_id
    return image_id


def address(tenant_id: UUID, share_id: UUID, *, base_url: str) -> str:
    return f"{base_url}/s/{word_for(KIND, tenant_id, share_id)}"


def visit(word: str) -> Shared | None:
    """None for a link that leads nowhere, for whatever reason: a visitor cannot tell them apart."""
    ids = ids_in(KIND, word)
    if ids is None or len(ids) != 2:
        return None
    tenant_id, share_id = ids
    with tenant_scope(tenant_id):
        found = Share.objects.filter(id=share_id, revoked_at=None).first()
        if found is None or (found.expires_at is not None and found.expires_at <= datetime.now(UTC)):
            return None
        image = Image.objects.filter(id=found.image_id, released_at__isnull=False).first()
        if image is None or not Tenant.objects.filter(id=tenant_id, frozen_at=None).exists():
            return None
        return Shared(image, data_key_of(tenant_id) if image.key_sealed is not None else None, share_id)


def _image(image_id: UUID) -> Image:
    found: Image | None = Image.objects.filter(id=image_id, released_at__isnull=False).first()
    if found is None:
        raise Problem("not_found", "There is no such image.")
    return found


def _record(action: str, share: Share, actor: Actor) -> None:
    audit.record(
        action, tenant_id=share.tenant_id, object_kind="image", object_id=share.image_id,
        details={"share": str(share.id)}, actor=actor,
    )  # fmt: skip
