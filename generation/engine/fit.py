"""Fitting a picture that a model drew at its own size into the size that was asked for."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]
Color = NDArray[np.float32]

BORDER = 1 / 64  # of the edge: how deep the border is that tells the background
PLAIN = 16.0  # of 255: how far a plain background may stray from its median
ENOUGH = 0.6  # of the border is plain: a subject may touch an edge, half a sky is a scene


def fit(pixels: Pixels, width: int, height: int) -> Pixels:
    """`pixels` (h, w, 3) resampled to exactly (height, width, 3).

    Where the shape differs, a picture on a plain background is kept whole and its background extended; any
    other fills the new shape and loses what sticks out, evenly on both sides."""
    drawn_height, drawn_width = pixels.shape[:2]
    if (drawn_width, drawn_height) == (width, height):
        return pixels
    across, down = width / drawn_width, height / drawn_height
    if across == down:
        return _resample(pixels, width, height)
    background = _plain_background(pixels)
    if background is not None:
        scale = min(across, down)
        whole = _resample(pixels, round(drawn_width * scale), round(drawn_height * scale))
        return _extend(whole, background, width, height)
    return cover(pixels, width, height)


def cover(pixels: Pixels, width: int, height: int) -> Pixels:
    """`pixels` resampled to fill exactly (height, width, 3). What sticks out is lost, evenly on both sides, and is not
    resampled before: of a line of pixels that would be gigabytes."""
    drawn_height, drawn_width = pixels.shape[:2]
    if (drawn_width, drawn_height) == (width, height):
        return pixels
    scale = max(width / drawn_width, height / drawn_height)
    wide, high = max(width, round(drawn_width * scale)), max(height, round(drawn_height * scale))
    left, top = (wide - width) // 2, (high - height) // 2
    across, down = drawn_width / wide, drawn_height / high
    right, bottom = min((left + width) * across, drawn_width), min((top + height) * down, drawn_height)
    return _resample(pixels, width, height, part=(left * across, top * down, right, bottom))


def stretch(pixels: Pixels, width: int, height: int) -> Pixels:
    """`pixels` resampled to exactly (height, width, 3), across and down each by its own scale: nothing is lost, and
    stretching back undoes it."""
    return pixels if pixels.shape[:2] == (height, width) else _resample(pixels, width, height)


def crop(pixels: Pixels, width: int, height: int) -> Pixels:
    """The middle of the picture."""
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def _plain_background(pixels: Pixels) -> Color | None:
    """The one color most of the border has, if there is one."""
    depth = _depth(pixels)
    strips = (pixels[:depth], pixels[-depth:], pixels[:, :depth], pixels[:, -depth:])
    border = np.concatenate([strip.reshape(-1, 3) for strip in strips]).astype(np.float32)
    color: Color = np.median(border, axis=0)
    return color if _is_near(border, color).mean() >= ENOUGH else None


def _extend(pixels: Pixels, background: Color, width: int, height: int) -> Pixels:
    """Continue the two sides outward."""
    if pixels.shape[0] != height:
        return np.ascontiguousarray(_extend(pixels.transpose(1, 0, 2), background, height, width).transpose(1, 0, 2))
    space = width - pixels.shape[1]
    left, depth = space // 2, _depth(pixels)
    before = np.repeat(_continuation(pixels[:, :depth], background), left, axis=1)
    after = np.repeat(_continuation(pixels[:, -depth:], background), space - left, axis=1)
    return np.ascontiguousarray(np.concatenate([before, pixels, after], axis=1))


def _continuation(side: Pixels, background: Color) -> Pixels:
    """One column: the shades of the background along this side, without the subject where it touches, and smoothed
    so that no streaks show."""
    shades = side.astype(np.float32).mean(axis=1)
    shades[~_is_near(shades, background)] = background
    column = Image.fromarray(shades.round().astype(np.uint8)[:, None])
    return np.asarray(column.filter(ImageFilter.GaussianBlur((0, max(1.0, side.shape[0] / 16)))))


def _is_near(colors: NDArray[np.float32], background: Color) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.abs(colors - background).max(axis=-1) <= PLAIN
    return near


def _depth(pixels: Pixels) -> int:
    return max(1, int(max(pixels.shape[:2]) * BORDER))


def _resample(
    pixels: Pixels, width: int, height: int, *, part: tuple[float, float, float, float] | None = None
) -> Pixels:
    """`part` of them, or all: left, top, right, bottom."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS, box=part))
