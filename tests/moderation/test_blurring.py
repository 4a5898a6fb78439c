"""Of a blurred picture nothing is left but some colored spots."""

import io

import numpy as np
import pytest
from PIL import Image

from moderation.blurring import EDGE, blurred


def file_of(pixels: np.ndarray, form: str = "png") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("fields", [10, 12, 20])
def test_what_is_as_small_as_a_nose_cannot_be_told(fields: int, form: str) -> None:
    board = np.indices((fields, fields)).sum(0) % 2 * 255
    shown = np.kron(np.stack([board] * 3, -1), np.ones((32, 32, 1)))
    assert np.asarray(Image.open(io.BytesIO(blurred(file_of(shown, form)))).convert("L")).std() < 8


def test_colors_and_shape_are_kept() -> None:
    shown = np.zeros((256, 512, 3))
    shown[:, :256], shown[:, 256:] = (220, 30, 30), (30, 30, 220)
    left = Image.open(io.BytesIO(blurred(file_of(shown))))
    assert left.size == (EDGE, EDGE // 2)
    (red, _, less), (more, _, blue) = left.getpixel((10, 40)), left.getpixel((150, 40))  # type: ignore[misc]
    assert red > 150 > 90 > less
    assert blue > 150 > 90 > more


def test_a_line_of_pixels_is_no_error() -> None:
    assert Image.open(io.BytesIO(blurred(file_of(np.zeros((1, 2048, 3)))))).size == (EDGE, 1)
