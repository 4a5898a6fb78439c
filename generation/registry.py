"""Registering models: what a folder says of itself, pinned by its digest."""

import json
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from easel.database import atomic
from generation import checkpoint
from generation.models import Model, Pool

STARTER: Final = "starter"
# The starter model is tiny; SD 1.5 is the measure of the factor.
STARTER_FACTOR: Final = 0.05


def register(name: str, source: str, *, pool: str = "default", **fields: Any) -> Model:
    """Make or renew everybody's model of that name. A local folder is checked (safetensors only) and its digest pinned;
    a hub id is fetched by the worker. Raises checkpoint.CheckpointError. Needs the platform role."""
    folder = Path(source)
    if folder.is_dir():
        checkpoint.require_safe(folder)
        fields["digest"] = checkpoint.digest(folder)
        source = str(folder.resolve())
    with atomic():
        place, _ = Pool.objects.get_or_create(name=pool)
        if fields.get("is_default"):
            Model.objects.filter(tenant=None).exclude(name=name).update(is_default=False)
        model, _ = Model.objects.update_or_create(
            tenant=None, name=name, defaults={"title": name, "source": source, "pool": place, **fields}
        )
    return model


def register_starter(*, name: str = STARTER) -> Model:
    """The model Easel ships, if its files are the ones that were shipped. It draws one native size; other sizes are
    made from that. It is the default until an operator names another."""
    folder = settings.STARTER_FOLDER
    pinned = folder / "DIGEST"
    checkpoint.verify(folder, pinned.read_text().strip() if pinned.is_file() else "")
    return register(
        name,
        str(folder),
        title="Easel starter",
        description="A small demonstration model trained on emoji artwork. It draws single things in three styles.",
        license="See starter/weights/README.md",
        native_size=native_size(folder),
        min_size=64,
        max_size=1024,
        default_size=512,
        default_steps=20,
        default_cfg_scale=4.0,
        default_sampler="DPM++ 2M",
        factor=STARTER_FACTOR,
        is_default=not Model.objects.filter(tenant=None, is_default=True).exclude(name=name).exists(),
    )


def native_size(folder: Path) -> int:
    """The edge in pixels that the folder's UNet was trained at: its latent edge times the decoder's enlargement."""
    checkpoint.read_index(folder)
    unet = json.loads((folder / "unet" / "config.json").read_text())
    vae = json.loads((folder / "vae" / "config.json").read_text())
    blocks = vae.get("decoder_block_out_channels") or vae["block_out_channels"]
    doublings = len(blocks) - 1
    return int(unet["sample_size"]) << doublings
