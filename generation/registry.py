"""Registering models: what a folder says of itself, pinned by its digest."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db.models.functions import Now

from easel.database import atomic
from generation import cache, checkpoint
from generation.models import Model, Pool
from generation.pick import BACKUP_NAME

HUB_ID: Final = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
STARTER: Final = "starter"
BACKUP: Final = BACKUP_NAME
BACKUP_POOL: Final = "backup"
# The starter model is tiny; SD 1.5 is the measure of the factor.
STARTER_FACTOR: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class StarterStyle:
    """One of the starter's three styles as a model of its own: the same files, other words before the prompt."""

    name: str
    title: str
    style: str
    prompt_prefix: str
    categories: tuple[str, ...]

    @property
    def description(self) -> str:
        return (
            f"The starter model with every picture as a {self.style}: “{self.prompt_prefix}” stands before each prompt."
        )


STARTER_STYLES: Final = (
    StarterStyle(
        name="starter-landscape",
        title="Easel starter: landscape",
        style="flat illustration",
        prompt_prefix="flat illustration of",
        categories=("landscape", "architecture"),
    ),
    StarterStyle(
        name="starter-portrait",
        title="Easel starter: portrait",
        style="3d render",
        prompt_prefix="3d render of",
        categories=("portrait",),
    ),
    StarterStyle(
        name="starter-cartoon",
        title="Easel starter: cartoon",
        style="cartoon",
        prompt_prefix="cartoon of",
        categories=("cartoon", "animal"),
    ),
)


def register(name: str, source: str, *, pool: str = "default", **fields: Any) -> Model:
    """Make or renew everybody's model of that name. A local folder is checked (safetensors only) and its digest pinned;
    a hub id is fetched by the worker. Raises checkpoint.CheckpointError. Needs the platform role."""
    folder = Path(source)
    fields.setdefault("digest", "")  # not that of a folder it had before
    if folder.is_dir():
        checkpoint.require_safe(folder)
        fields["digest"] = checkpoint.digest(folder)
        source = str(folder.resolve())
    with atomic():
        place, _ = Pool.objects.get_or_create(name=pool)
        if fields.get("is_default"):
            Model.objects.filter(tenant=None).exclude(name=name).update(is_default=False)
        before = Model.objects.filter(tenant=None, name=name).first()
        model, _ = Model.objects.update_or_create(
            tenant=None, name=name, defaults={"title": name, "source": source, "pool": place, **fields}
        )
        if before is not None and _draws(before) != _draws(model):
            cache.forget_model(model.id)
    return model


def _draws(model: Model) -> tuple[str, ...]:
    """What decides a model's pixels: with another of these, earlier results are no longer its."""
    return model.source, model.revision, model.digest, model.prompt_prefix


def register_backup() -> Model | None:
    """The service of EASEL_BACKUP_URL as a model that nobody asks for by itself: the last one that others fall back to.
    Without the setting it is switched off."""
    if not settings.BACKUP["url"]:
        Model.objects.filter(tenant=None, name=BACKUP).update(enabled=False)
        return None
    return register(
        BACKUP,
        str(settings.BACKUP["url"]),
        pool=BACKUP_POOL,
        title="Backup service",
        description="Draws while a model and its fallback cannot.",
        revision=str(settings.BACKUP["model"])[:64],
        max_size=4096,
        enabled=True,
    )


class UnknownModel(Exception):
    """There is no model of everybody's with that name."""


def named(name: str) -> Model:
    """Everybody's model of that name, retired or not. Raises UnknownModel."""
    model = Model.objects.filter(tenant=None, name=name).first()
    if model is None:
        raise UnknownModel(f"There is no model {name!r}.")
    return model


def add(name: str, source: str, *, try_out: Callable[[Model], str] | None = None, **fields: Any) -> Model:
    """Register a model, if `try_out` can draw a picture with it, whose key is kept (`Model.smoke_key`). Needs the
    platform role. Raises CheckpointError."""
    if not Path(source).is_dir() and not HUB_ID.fullmatch(source):
        raise checkpoint.CheckpointError(f"There is no folder {source}, and it is no hub id such as owner/model.")
    with atomic():
        model = register(name, source, **fields)
        if try_out is not None:
            model.smoke_key = try_out(model)
            model.save(update_fields=["smoke_key"])
    return model


def retire(name: str) -> Model:
    """Nobody can ask for it any more. What waits is still drawn; earlier results answer nobody. Raises UnknownModel."""
    model = named(name)
    with atomic():
        Model.objects.filter(id=model.id).update(retired_at=Now(), is_default=False)
        cache.forget_model(model.id)
    return model


def register_starter() -> list[Model]:
    """The model Easel ships, and its styles, if its files are the ones that were shipped. It draws one native size;
    other sizes are made from that. It is the default until an operator names another."""
    folder = settings.STARTER_FOLDER
    pinned = folder / "DIGEST"
    checkpoint.verify(folder, pinned.read_text().strip() if pinned.is_file() else "")
    common: dict[str, Any] = {
        "license": "See starter/weights/README.md",
        "native_size": native_size(folder),
        "min_size": 64,
        "max_size": 1024,
        "default_size": 512,
        "default_steps": 20,
        "default_cfg_scale": 4.0,
        "default_sampler": "DPM++ 2M",
        "factor": STARTER_FACTOR,
    }
    starter = register(
        STARTER,
        str(folder),
        title="Easel starter",
        description="A small demonstration model trained on emoji artwork. It draws single things in three styles.",
        is_default=not Model.objects.filter(tenant=None, is_default=True).exclude(name=STARTER).exists(),
        **common,
    )
    styles = [
        register(
            style.name,
            str(folder),
            title=style.title,
            description=style.description,
            prompt_prefix=style.prompt_prefix,
            categories=list(style.categories),
            **common,
        )
        for style in STARTER_STYLES
    ]
    return [starter, *styles]


def native_size(folder: Path) -> int:
    """The edge in pixels that the folder's UNet was trained at: its latent edge times the decoder's enlargement."""
    checkpoint.read_index(folder)
    unet = json.loads((folder / "unet" / "config.json").read_text())
    vae = json.loads((folder / "vae" / "config.json").read_text())
    blocks = vae.get("decoder_block_out_channels") or vae["block_out_channels"]
    doublings = len(blocks) - 1
    return int(unet["sample_size"]) << doublings
