"""What an image looks like on the way: its predicted clean latents, decoded small, as a JPEG file."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from torch import Tensor

from generation.engine.protocol import Preview

if TYPE_CHECKING:
    from generation.engine.guest import Guest

PREVIEW_EDGE = 256  # pixels of the longer one: enough for a classifier and for a customer who waits
QUALITY = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """An image as it was after `done` of `total` model calls; to be decoded when there is time."""

    guest: "Guest"
    clean: Tensor  # (1, c, h, w)
    done: int
    total: int


def shrink(latents: Tensor, edge: int) -> Tensor:
    """(b, c, h, w) → at most `edge` latents on the longer side, averaged. Decoding costs by the area."""
    longer = max(latents.shape[-2:])
    if longer <= edge:
        return latents
    size = [max(1, round(side * edge / longer)) for side in latents.shape[-2:]]
    return torch.nn.functional.interpolate(latents, size=size, mode="area")


def preview_of(sketch: Sketch, image: NDArray[np.float32]) -> Preview:
    """`image` is (h, w, 3) from 0 to 1. Not in the engine's thread: encoding takes a millisecond."""
    height, width = image.shape[:2]
    file = io.BytesIO()
    pixels = (np.nan_to_num(image) * 255).round().astype(np.uint8)
    Pictures.fromarray(pixels).save(file, "jpeg", quality=QUALITY)
    return Preview(jpeg=file.getvalue(), width=width, height=height, done=sketch.done, total=sketch.total)
