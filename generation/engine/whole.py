"""One picture by one whole call of a pipeline, as diffusers means it."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from generation.engine.fit import crop, fit
from generation.engine.loading import Model
from generation.engine.protocol import Drawing, Drawn, EngineError
from generation.engine.samplers import scheduler_for
from generation.samplers import UnknownSampler, find

QUOTED = 60  # characters of a prompt's unread end that a warning repeats


def draw(model: Model, drawing: Drawing, after_step: Callable[[int, int], None]) -> Drawn:
    """`after_step(done, total)` counts model calls; what it raises ends the drawing there."""
    pipeline = model.pipeline
    pipeline.scheduler = _scheduler(model, drawing)
    width, height = drawn_size(model, drawing)

    def on_step_end(_pipeline: Any, index: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        after_step(index + 1, len(pipeline.scheduler.timesteps))
        return tensors

    started = time.perf_counter()
    output = pipeline(
        prompt=drawing.prompt,
        negative_prompt=drawing.negative_prompt,
        num_inference_steps=drawing.steps,
        guidance_scale=drawing.cfg_scale,
        width=width,
        height=height,
        generator=torch.Generator("cpu").manual_seed(drawing.seed),  # the same noise on every device
        output_type="np",
        callback_on_step_end=on_step_end,
    )
    pixels = _pixels(output.images[0])
    seconds = time.perf_counter() - started
    native = model.checkpoint.native_size
    return Drawn(
        pixels=(fit if native else crop)(pixels, drawing.width, drawing.height),
        steps_run=drawing.steps,
        seconds=seconds,
        warnings=[*_unread_words(model, drawing), *_size_warning(model, drawing)],
    )


def drawn_size(model: Model, drawing: Drawing) -> tuple[int, int]:
    """The model's own size, or else the next it can make: pipelines round down in silence."""
    if native := model.checkpoint.native_size:
        return native, native
    factor = int(model.pipeline.vae_scale_factor)
    return -(-drawing.width // factor) * factor, -(-drawing.height // factor) * factor


def _scheduler(model: Model, drawing: Drawing) -> Any:
    try:
        return scheduler_for(find(drawing.sampler), model.scheduler_config, drawing.steps)
    except UnknownSampler as error:
        raise EngineError("sampler_unknown", str(error), permanent=True) from error


def _pixels(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    if not np.isfinite(image).all():
        raise EngineError(
            "not_a_picture",
            "The model's numbers overflowed (NaN). A lower cfg_scale or another sampler usually helps.",
            permanent=True,
        )
    return (image * 255).round().astype(np.uint8)


def _size_warning(model: Model, drawing: Drawing) -> list[str]:
    native = model.checkpoint.native_size
    if native is None or (native, native) == (drawing.width, drawing.height):
        return []
    done = "enlarged" if max(drawing.width, drawing.height) > native else "reduced"
    return [
        f"{model.checkpoint.name} draws at {native}×{native}; "
        f"the picture was {done} to {drawing.width}×{drawing.height}."
    ]


def _unread_words(model: Model, drawing: Drawing) -> list[str]:
    """Text encoders cut a prompt off without a word."""
    # SDXL reads a prompt twice, with the same limit; its refiner has the second reader only.
    tokenizer = model.pipeline.tokenizer or model.pipeline.tokenizer_2
    room = tokenizer.model_max_length - 2  # start and end take a place each
    warnings = []
    for kind, text in (("prompt", drawing.prompt), ("negative prompt", drawing.negative_prompt)):
        ids = tokenizer(text, add_special_tokens=False, truncation=False).input_ids
        if len(ids) > room:
            unread = tokenizer.decode(ids[room:]).strip()
            quoted = unread if len(unread) <= QUOTED else f"{unread[:QUOTED].rstrip()}…"
            warnings.append(
                f"The {kind} is {len(ids)} tokens long, and {model.checkpoint.name} reads {room}: "
                f"“{quoted}” had no effect."
            )
    return warnings
