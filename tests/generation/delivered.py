"""A picture that was drawn and delivered, without drawing one: its rows, and its file in the store."""

import hashlib

from easel.database import platform_role
from easel.identifiers import new_id
from easel.storage import storage
from generation.models import Generation, Image, Model, Pool
from tests.cast import Customer
from tests.moderation.pictures import png


def delivered(customer: Customer, *, seed: int = 1, data: bytes | None = None) -> Image:
    file = data or png(seed=seed, size=96)
    generation_id, image_id, name = new_id(), new_id(), f"dlv-{new_id().hex}"
    object_key = f"t/{customer.id}/g/{generation_id}/{image_id}-0.png"
    storage().put(object_key, file, "image/png")
    with platform_role():
        pool = Pool.objects.create(name=name)
        model = Model.objects.create(tenant=customer.tenant, pool=pool, name=name, title="", source="")
        Generation.objects.create(
            id=generation_id, tenant=customer.tenant, key=customer.key, model=model, pool=pool, status="completed",
            prompt_sealed=b"", negative_prompt_sealed=b"", steps=1, width=96, height=96, cfg_scale=1, sampler="",
            seed=0, format="png", work=0, quote=0, credits=1,
        )  # fmt: skip
        return copied(customer, generation_id, object_key, file, image_id=image_id)


def copied(customer: Customer, generation_id: object, object_key: str, file: bytes, **named: object) -> Image:
    """One more row that refers to the same file, as an answer from the cache does. Needs the platform role."""
    image: Image = Image.objects.create(
        id=named.get("image_id") or new_id(), tenant=customer.tenant, generation_id=generation_id, index=0, seed=0,
        width=96, height=96, content_type="image/png", bytes=len(file), sha256=hashlib.sha256(file).hexdigest(),
        object_key=object_key, steps_run=1, released_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    image.refresh_from_db()
    return image
