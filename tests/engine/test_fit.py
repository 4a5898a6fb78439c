"""A picture drawn at the model's own size is brought to the size that was asked for, without losing its subject."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from generation.engine.fit import cover, fit

Pixels = NDArray[np.uint8]
EDGE = 64


def subject_on(background: Pixels) -> Pixels:
    """A red disc that almost touches all four sides."""
    y, x = np.mgrid[:EDGE, :EDGE] - (EDGE - 1) / 2
    picture = background.copy()
    picture[x**2 + y**2 <= (EDGE / 2 - 4) ** 2] = (220, 20, 30)
    return picture


def plain() -> Pixels:
    return np.full((EDGE, EDGE, 3), (200, 220, 240), np.uint8)


def busy() -> Pixels:
    return np.random.default_rng(0).integers(0, 255, (EDGE, EDGE, 3), dtype=np.uint8)


def red_extent(picture: Pixels) -> tuple[int, int]:
    """Width and height of what is red."""
    red = (picture[..., 0] > 150) & (picture[..., 1] < 100) & (picture[..., 2] < 100)
    return int(red.any(axis=0).sum()), int(red.any(axis=1).sum())


SIZES = [(64, 64), (128, 128), (40, 40), (256, 128), (128, 256), (1024, 768), (72, 64), (40, 96), (1024, 64), (8, 1024)]


@pytest.mark.parametrize("background", [plain, busy])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_size_is_exactly_the_one_asked_for(width: int, height: int, background: Callable[[], Pixels]) -> None:
    fitted = fit(subject_on(background()), width, height)
    assert fitted.shape == (height, width, 3)
    assert fitted.dtype == np.uint8
    assert fitted.flags.c_contiguous


def test_the_native_size_is_left_alone() -> None:
    picture = subject_on(busy())
    assert fit(picture, EDGE, EDGE) is picture


@pytest.mark.parametrize(("width", "height"), [(256, 128), (128, 256), (192, 128), (136, 128)])
def test_a_subject_on_a_plain_background_is_kept_whole_and_round(width: int, height: int) -> None:
    fitted = fit(subject_on(plain()), width, height)
    across, down = red_extent(fitted)
    assert abs(across - 112) <= 4  # a disc of 56 of 64, twice as large
    assert abs(down - 112) <= 4


@pytest.mark.parametrize(("width", "height"), [(256, 128), (128, 256)])
def test_the_new_background_is_that_of_the_picture(width: int, height: int) -> None:
    fitted = fit(subject_on(plain()), width, height).astype(int)
    corners = fitted[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners - (200, 220, 240)).max() <= 2
    # No step shows where the picture ends and its continuation begins.
    row = fitted[0] if width > height else fitted[:, 0]
    assert np.abs(np.diff(row, axis=0)).max() <= 2


def test_a_slightly_noisy_background_continues_without_streaks() -> None:
    noise = np.random.default_rng(1).normal(0, 4, (EDGE, EDGE, 3))
    picture = subject_on(np.clip(plain() + noise, 0, 255).astype(np.uint8))
    wing = fit(picture, 256, 128)[:, :60].astype(int)
    assert np.abs(np.diff(wing, axis=0)).max() <= 3


def test_any_other_picture_fills_the_new_shape_and_is_cut_evenly() -> None:
    picture = busy()
    picture[28:36] = 255  # a white bar through the middle
    fitted = fit(picture, 256, 128)
    rows = np.flatnonzero(fitted.min(axis=(1, 2)) > 200)
    assert abs((rows.min() + rows.max()) / 2 - 63.5) <= 1
    assert 20 <= len(rows) <= 36  # eight rows, four times enlarged


def test_a_subject_that_touches_an_edge_is_kept_whole_and_does_not_smear() -> None:
    picture = plain()
    picture[40:, 20:44] = (220, 20, 30)  # it stands on the lower edge, and one arm reaches the right
    picture[30:34, 44:] = (220, 20, 30)
    wide, high = fit(picture, 256, 128).astype(int), fit(picture, 128, 256).astype(int)
    assert np.abs(wide[:, -60:] - (200, 220, 240)).max() <= 2
    assert np.abs(high[-60:] - (200, 220, 240)).max() <= 2
    assert np.abs(high[150] - (220, 20, 30)).max(axis=1).min() <= 2


def test_a_background_that_shades_slowly_goes_on_shading() -> None:
    picture = plain()
    picture[:] = np.linspace(180, 215, EDGE, dtype=np.uint8)[:, None, None]
    fitted = fit(subject_on(picture), 256, 128).astype(int)
    seam = np.abs(fitted[:, 63] - fitted[:, 64])  # the picture begins at column 64
    assert seam.max() <= 6


def test_half_a_sky_is_a_scene_that_fills_the_shape() -> None:
    picture = busy()
    picture[:32] = (120, 180, 250)
    fitted = fit(picture, 256, 128).astype(int)
    assert fitted[100, :30].std() > 30


@pytest.mark.parametrize(("line", "size"), [((2048, 1), (64, 128)), ((1, 2048), (128, 64))])
def test_a_line_of_pixels_is_cut_before_it_is_enlarged(line: tuple[int, int], size: tuple[int, int]) -> None:
    """Enlarged first, it would have 2048 × 128 by 128 pixels: 100 MB, and gigabytes of what may be asked for."""
    width, height = line
    picture = np.repeat(np.repeat(np.arange(3, dtype=np.uint8)[None, None] * 90, height, 0), width, 1)
    tracemalloc.start()
    covered = cover(picture, *size)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert covered.shape == (size[1], size[0], 3)
    assert (covered == (0, 90, 180)).all()
    assert most < 1_000_000
