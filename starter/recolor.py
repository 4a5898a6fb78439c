"""Backgrounds and object colors: the words the model learns for them, and the pixels behind each word."""

from typing import Any

import numpy as np
import numpy.typing as npt

Rgba = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "black": (18, 18, 22),
    "red": (214, 58, 52),
    "orange": (244, 148, 54),
    "yellow": (250, 214, 80),
    "green": (86, 170, 92),
    "blue": (66, 120, 214),
    "purple": (138, 86, 190),
    "pink": (246, 158, 190),
    "gray": (150, 152, 156),
    "teal": (60, 168, 168),
    "brown": (128, 88, 60),
}
HUES = {
    "red": 0,
    "orange": 28,
    "yellow": 50,
    "green": 120,
    "blue": 215,
    "purple": 275,
    "pink": 325,
}  # degrees
CHINESE_COLORS = {
    "white": "白色", "black": "黑色", "red": "红色", "orange": "橙色", "yellow": "黄色", "green": "绿色",
    "blue": "蓝色", "purple": "紫色", "pink": "粉色", "gray": "灰色", "teal": "青色", "brown": "棕色",
}  # fmt: skip


def composite(pixels: Rgba, background: tuple[int, int, int] | Floats = (255, 255, 255)) -> Floats:
    """[h, w, 4] on a plain background -> [h, w, 3], 0 to 255."""
    alpha = pixels[..., 3:].astype(np.float32) / 255
    shown = pixels[..., :3] * alpha + np.asarray(background, np.float32) * (1 - alpha)
    return shown.astype(np.float32)


def dominant_hue(pixels: Rgba) -> tuple[float, float] | None:
    """(hue in degrees, its share of all opaque pixels), or None where no color dominates."""
    opaque = pixels[pixels[..., 3] > 128][:, :3] / np.float32(255)
    if len(opaque) < 800:
        return None
    hue, saturation, value = hsv(opaque)
    colored = (saturation > 0.3) & (value > 0.25)
    if colored.mean() < 0.2:
        return None
    bins = (hue[colored] // 10).astype(int) % 36
    counts = np.bincount(bins, minlength=36).astype(float)
    smooth = counts + np.roll(counts, 1) + np.roll(counts, -1)
    peak = int(smooth.argmax())
    near = np.deg2rad(hue[colored][np.isin(bins, [(peak + d) % 36 for d in (-1, 0, 1)])])
    mean = float(np.rad2deg(np.arctan2(np.sin(near).mean(), np.cos(near).mean())) % 360)
    return mean, float(smooth[peak] / len(opaque))


def hue_name(hue: float) -> str:
    return min(HUES, key=lambda name: min(abs(hue - HUES[name]), 360 - abs(hue - HUES[name])))


def rotate_hue(pixels: Rgba, source: float, target: float, width: float = 60) -> Rgba:
    """Turn the hues within `width` degrees of `source` onto `target`; everything else keeps its color."""
    hue, saturation, value = hsv(pixels[..., :3] / np.float32(255))
    offset = (hue - source + 180) % 360 - 180
    turned = np.where(np.abs(offset) < width, (target + offset * 0.6) % 360, hue)
    out = pixels.copy()
    out[..., :3] = (rgb(turned, saturation, value) * 255).clip(0, 255).round()
    return out


def hsv(colors: Floats) -> tuple[Floats, Floats, Floats]:
    """[..., 3] in 0..1 -> hue in degrees, saturation, value."""
    high, low = colors.max(-1), colors.min(-1)
    spread = high - low + 1e-8
    red, green, blue = colors[..., 0], colors[..., 1], colors[..., 2]
    sixth = np.where(
        high == red,
        (green - blue) / spread % 6,
        np.where(high == green, (blue - red) / spread + 2, (red - green) / spread + 4),
    )
    return sixth * 60, (high - low) / (high + 1e-8), high


def rgb(hue: Floats, saturation: Floats, value: Floats) -> Floats:
    sector = (hue / 60).astype(int) % 6
    rest = hue / 60 - np.floor(hue / 60)
    low, down, up = (
        value * (1 - saturation),
        value * (1 - saturation * rest),
        value * (1 - saturation * (1 - rest)),
    )
    red = np.choose(sector, [value, down, low, low, up, value])
    green = np.choose(sector, [up, value, value, down, low, low])
    blue = np.choose(sector, [low, low, up, value, value, down])
    return np.stack([red, green, blue], -1)
