"""A model that draws at one size of its own is shown all of a given picture, and what it makes of it fits over it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from generation.engine.origin import origin_of
from generation.engine.picture import finish
from generation.engine.protocol import Checkpoint, Drawing, Pixels
from tests.engine.asking import a_drawing, farthest

NATIVE = 64
SIZES = [(96, 64), (64, 128), (64, 64), (192, 64)]


class Glass:
    """A family whose latents are the picture itself."""

    device, dtype, scale, sees_mask = torch.device("cpu"), torch.float32, 1, False

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        return 1, 3, height, width

    def encode_image(self, picture: Tensor, generator: torch.Generator) -> Tensor:
        return picture

    def skip_encoding(self, width: int, height: int, generator: torch.Generator) -> None:
        pass


def shades(width: int, height: int) -> Pixels:
    """Each place has a color of its own."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([across, down, across * 0 + 99], axis=-1).round().astype(np.uint8)


def through_the_model(drawing: Drawing) -> Pixels:
    """What comes of it where the model changes nothing."""
    image = origin_of(Glass(), drawing, NATIVE, NATIVE, torch.Generator()).image  # type: ignore[arg-type]
    assert image is not None
    return finish((image[0].permute(1, 2, 0).numpy() + 1) / 2, drawing)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_all_of_the_picture_stays_where_it_was(width: int, height: int) -> None:
    photo = shades(width, height)
    native = Checkpoint(name="native", source="", native_size=NATIVE)
    drawing = a_drawing(native, init_image=photo, strength=0.1, steps=10, width=width, height=height)
    assert farthest(through_the_model(drawing), photo) <= 6


def test_of_another_shape_than_asked_for_it_loses_what_sticks_out_as_with_every_model() -> None:
    native = Checkpoint(name="native", source="", native_size=NATIVE)
    drawing = a_drawing(native, init_image=shades(192, 64), strength=0.1, steps=10, width=128, height=128)
    drawn = through_the_model(drawing)
    assert drawn[:, 0, 0].max() <= 100  # a third of the width is left: its middle
    assert drawn[:, 0, 0].min() >= 70
    assert drawn[0, :, 1].max() <= 15
    assert drawn[-1, :, 1].min() >= 240


def test_a_mask_lies_on_what_it_lay_on() -> None:
    mask = np.zeros((64, 96, 3), dtype=np.uint8)
    mask[:, :24] = 255  # the left quarter, which filling a square would cut off
    native = Checkpoint(name="native", source="", native_size=NATIVE)
    drawing = a_drawing(native, init_image=shades(96, 64), mask=mask, strength=0.5, steps=10, width=96, height=64)
    redrawn = origin_of(Glass(), drawing, NATIVE, NATIVE, torch.Generator()).redrawn  # type: ignore[arg-type]
    assert redrawn is not None
    assert redrawn[0, 0].mean(dim=0).round().int().tolist() == [1] * 16 + [0] * 48
