"""A model's first picture, drawn where it is registered: the proof that its files load and draw. Needs torch."""

from concurrent.futures import TimeoutError as NotInTime
from threading import Event
from typing import Final

from django.conf import settings

from easel.identifiers import new_id
from easel.storage import storage
from generation import pictures, samplers
from generation.checkpoint import CheckpointError
from generation.engine.choose import build
from generation.engine.protocol import Admission, Checkpoint, Drawing, EngineError
from generation.models import Model

PROMPT: Final = "a red apple on a wooden table"
SEED: Final = 1
SECONDS: Final = 600.0


def draw(model: Model) -> str:
    """The key of the stored picture. Raises CheckpointError where none came out."""
    engine = build(**settings.ENGINE)
    try:
        drawn = engine.admit(Admission(drawing=_drawing(model), on_step=lambda done, total: None, stop=Event()))
        picture = drawn.result(timeout=SECONDS)
    except (EngineError, NotInTime) as error:
        raise CheckpointError(f"{model.name} drew no picture: {error}") from error
    finally:
        engine.close()
    file = pictures.encode(picture.pixels, "webp", PROMPT)
    key = f"models/{model.id}/{model.version or 'smoke'}.webp"
    storage().put(key, file.data, file.content_type)
    return key


def _drawing(model: Model) -> Drawing:
    return Drawing(
        image_id=new_id(),
        checkpoint=Checkpoint(
            name=model.name,
            source=model.source,
            revision=model.revision,
            digest=model.digest,
            native_size=model.native_size,
        ),
        prompt=f"{model.prompt_prefix} {PROMPT}".strip(),
        negative_prompt="",
        steps=model.default_steps,
        width=model.default_size,
        height=model.default_size,
        cfg_scale=model.default_cfg_scale,
        sampler=samplers.find(model.default_sampler).name,
        seed=SEED,
    )
