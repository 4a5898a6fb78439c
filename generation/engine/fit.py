"""Fitting a picture that a model drew at its own size into the size that was asked for."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]

BORDER = 1 / 64  # of the edge: how much of a side is looked at
PLAIN = 24.0  # of 255: a side is plain while 95 % of its pixels are within this of its median


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
    wider = across > down  # the new shape is wider than the picture: its left and right meet empty space
    if _is_plain(pixels, wider):
        scale = min(across, down)
        inside = _resample(pixels, round(drawn_width * scale), round(drawn_height * scale))
        return _extend(inside, width, height)
    scale = max(across, down)
    return crop(
        _resample(pixels, max(width, round(drawn_width * scale)), max(height, round(drawn_height * scale))),
        width,
        height,
    )


def crop(pixels: Pixels, width: int, height: int) -> Pixels:
    """The middle of the picture."""
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def _is_plain(pixels: Pixels, sides: bool) -> bool:
    upright = pixels if sides else pixels.transpose(1, 0, 2)
    depth = max(1, round(upright.shape[1] * BORDER))
    return all(
        np.quantile(np.abs(strip - np.median(strip, axis=(0, 1))).max(axis=2), 0.95) <= PLAIN
        for strip in (upright[:, :depth].astype(np.float32), upright[:, -depth:].astype(np.float32))
    )


def _extend(pixels: Pixels, width: int, height: int) -> Pixels:
    """Continue the sides outward. Each row goes on with its own border color, smoothed along the side, so
    that neither a step at the seam nor streaks show."""
    if pixels.shape[0] != height:
        return np.ascontiguousarray(_extend(pixels.transpose(1, 0, 2), height, width).transpose(1, 0, 2))
    space = width - pixels.shape[1]
    left = space // 2
    depth = max(1, round(pixels.shape[1] * BORDER))
    wings = [
        np.repeat(_smooth(strip.mean(axis=1, keepdims=True)), wing, axis=1)
        for strip, wing in ((pixels[:, :depth], left), (pixels[:, -depth:], space - left))
    ]
    return np.ascontiguousarray(np.concatenate([wings[0], pixels, wings[1]], axis=1))


def _smooth(column: NDArray[np.float64]) -> Pixels:
    image = Image.fromarray(column.round().astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur((0, max(1.0, column.shape[0] / 64)))))


def _resample(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
