"""One picture by one whole call of a pipeline, as diffusers means it: for models the loop cannot step itself."""

import time
from collections.abc import Callable
from typing import Any

import torch

from generation.engine.loading import Model
from generation.engine.picture import drawn_size, finish, warnings
from generation.engine.protocol import Drawing, Drawn, EngineError
from generation.engine.samplers import scheduler_of


def draw(model: Model, drawing: Drawing, after_step: Callable[[int, int], None]) -> Drawn:
    """`after_step(done, total)` counts model calls; what it raises ends the drawing there."""
    pipeline = model.pipeline
    if drawing.init_image is not None:
        detail = f"{model.checkpoint.name} draws from words only."
        raise EngineError("init_image_unsupported", detail, permanent=True)
    pipeline.scheduler = scheduler_of(drawing, model.scheduler_config)
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
    return Drawn(
        pixels=finish(output.images[0], drawing),
        steps_run=drawing.steps,
        seconds=time.perf_counter() - started,
        warnings=warnings(model, drawing),
    )
