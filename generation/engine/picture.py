"""From a model's floats to the picture that was asked for, and what has to be said beside it."""

import numpy as np
from numpy.typing import NDArray

from generation.engine.fit import Pixels, crop, fit, stretch
from generation.engine.loading import Model
from generation.engine.protocol import Checkpoint, Drawing, EngineError


def drawn_size(model: Model, drawing: Drawing) -> tuple[int, int]:
    """Width and height: the model's own size, or else the next it can make (pipelines round down in silence)."""
    if native := model.checkpoint.native_size:
        return native, native
    factor = int(model.pipeline.vae_scale_factor)
    return -(-drawing.width // factor) * factor, -(-drawing.height // factor) * factor


def finish(image: NDArray[np.float32], drawing: Drawing) -> Pixels:
    """`image` (h, w, 3) from 0 to 1 → uint8 at the requested size."""
    if not drawing.checkpoint.native_size:
        resize = crop
    elif drawing.init_image is None:
        resize = fit
    else:
        resize = stretch  # as the given picture was on its way in, so that all in it stays where it was
    return resize(_pixels(image), drawing.width, drawing.height)


def warnings(model: Model, drawing: Drawing) -> list[str]:
    return [*_unread_tokens(model, drawing), *_size_warning(drawing.checkpoint, drawing)]


def _pixels(image: NDArray[np.float32]) -> Pixels:
    if not np.isfinite(image).all():
        raise EngineError(
            "not_a_picture",
            "The model's numbers overflowed (NaN). A lower cfg_scale or another sampler usually helps.",
            permanent=True,
        )
    return (image * 255).round().astype(np.uint8)


def _size_warning(checkpoint: Checkpoint, drawing: Drawing) -> list[str]:
    native = checkpoint.native_size
    if native is None or (native, native) == (drawing.width, drawing.height):
        return []
    done = "enlarged" if max(drawing.width, drawing.height) > native else "reduced"
    return [
        f"{checkpoint.name} draws at {native}×{native}; the picture was {done} to {drawing.width}×{drawing.height}."
    ]


def _unread_tokens(model: Model, drawing: Drawing) -> list[str]:
    """Text encoders cut a prompt off without a word. What is said of it repeats none: prompts are sealed where they
    rest, and warnings are not."""
    # SDXL reads a prompt twice, with the same limit; its refiner has the second reader only.
    tokenizer = model.pipeline.tokenizer or model.pipeline.tokenizer_2
    room = tokenizer.model_max_length - 2  # start and end take a place each
    warnings = []
    for kind, text in (("prompt", drawing.prompt), ("negative prompt", drawing.negative_prompt)):
        tokens = len(tokenizer(text, add_special_tokens=False, truncation=False).input_ids)
        if tokens > room:
            warnings.append(
                f"The {kind} is {tokens} tokens long, and {drawing.checkpoint.name} reads {room}: "
                "the rest had no effect."
            )
    return warnings
