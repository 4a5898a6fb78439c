"""What this app does when a tenant is erased or exported, and which of its columns are sealed."""

import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from easel.database import atomic, changed, rows
from easel.storage import ObjectMissing, storage
from generation import cancel, sealed_images, thumbnails
from generation.models import Image, Input
from tenants import keys, lifecycle
from tenants.sealed_columns import SealedColumn, sealed_column

PATIENCE_SECONDS: Final = 120.0  # for what is being drawn to come to its end

_NAMED: Final = " UNION ".join(
    f"SELECT object_key FROM generation_{table} WHERE object_key = ANY(%(keys)s)"  # noqa: S608  our own names
    for table in ("image", "input", "objectintent", "doomedobject")
)


class StillDrawing(lifecycle.NotYet):
    """Work of the tenant has not ended yet."""


def register() -> None:
    lifecycle.on_erasing(stop_and_forget)
    lifecycle.leave_to_clock("generation_objectintent", "generation_doomedobject")
    lifecycle.name_people_in("generation_share", "created_by")
    lifecycle.read_objects_with(read_object)
    lifecycle.name_objects_with(named_objects)
    for column in ("prompt", "negative_prompt"):
        sealed_column(SealedColumn("generation_generation", f"{column}_sealed", f"generation.{column}:".encode()))
    for table in ("generation_image", "generation_input"):
        sealed_column(SealedColumn(table, "key_sealed", sealed_images.CONTEXT, bound_to="object_key", secret=True))


def stop_and_forget(tenant_id: UUID) -> None:
    """Its certificate bears the tenant's name, and would be made again for whatever is still signed."""
    stop_everything(tenant_id)
    with atomic():
        gone = rows(
            "DELETE FROM generation_certificate WHERE name = %s AND NOT issuer RETURNING 'certificate:' || id",
            [f"tenant:{tenant_id}"],
        )
        changed("DELETE FROM tenants_platformsecret WHERE name = ANY(%s)", [[secret for (secret,) in gone]])


def stop_everything(tenant_id: UUID) -> None:
    """Cancel what waits and what is drawn, and wait for its end: a worker that came home later would leave a picture
    behind that no row knows of. What processes remember of the tenant's keys has to pass first."""
    time.sleep(keys.REMEMBER_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        cancel.cancel_many(tenant_id, cancel.Filter())
        ((unfinished,),) = rows(
            "SELECT count(*) FROM generation_generation WHERE tenant_id = %s AND status IN ('queued', 'running')",
            [tenant_id],
        )
        if not unfinished:
            return
        if time.monotonic() > deadline:
            raise StillDrawing(f"{unfinished} generations have not ended. Is a worker or the clock running? Try again.")
        time.sleep(0.5)


def read_object(tenant_id: UUID, object_key: str) -> bytes:
    """Raises ObjectMissing for what was never released (an export shows nothing that moderation holds), for what no row
    knows (any more: erased, taken down, or not looked at yet), and for thumbnails: they are made of what is read here
    anyway."""
    if object_key.endswith(thumbnails.ENDING):
        raise ObjectMissing(f"{object_key} is a thumbnail")
    of_object = Image.objects.filter(tenant_id=tenant_id, object_key=object_key)
    shown: Image | Input | None = of_object.filter(released_at__isnull=False).first()
    if shown is None and not of_object.exists():
        shown = Input.objects.filter(tenant_id=tenant_id, object_key=object_key).first()
    if shown is None:
        raise ObjectMissing(object_key)
    used = sealed_images.opened(shown, keys.data_key_of(tenant_id))
    return b"".join(sealed_images.contents(storage(), object_key, used))


def named_objects(object_keys: Sequence[str]) -> set[str]:
    """A thumbnail goes with its image."""
    of = {each: each.removesuffix(thumbnails.ENDING) for each in object_keys}
    named = {key for (key,) in rows(_NAMED, {"keys": [*of.keys(), *of.values()]})}
    return {each for each, image in of.items() if {each, image} & named}
