"""What `/extra-single-image` asks for: the picture enlarged, and drawn a little further at its new size."""

from collections.abc import Mapping
from typing import Any, Final

from easel.problems import invalid
from generation.compat.a1111 import options
from generation.compat.a1111.asking import MARK, NOT_SUPPORTED, from_picture
from generation.compat.fields import Fields
from generation.derived_api import REFINED
from generation.request import LARGEST_SIZE, SIZE_MULTIPLE

UPSCALER: Final = "Easel"  # the one there is
WORDS: Final = "a sharp and detailed picture"  # drawing needs words; theirs has none
MOST: Final = 8.0
_SKEW: Final = 0.02  # how much of its shape a picture may lose


def read(sent: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """In the words of `POST /v1/generations`. Raises Problem or ValidationError."""
    fields = Fields(sent)
    image = fields.take("image")
    width, height = _size(fields, *from_picture(image, "image", lambda picture: picture.size))
    fields.one_of("upscaler_1", (UPSCALER,), f"There is one upscaler: {UPSCALER}.")
    fields.one_of("upscaler_2", ("None", UPSCALER), f"There is one upscaler: {UPSCALER}.")
    for immaterial in ("show_extras_results", "upscaling_crop", "extras_upscaler_2_visibility", "codeformer_weight"):
        fields.take(immaterial)
    fields.none_left(NOT_SUPPORTED)
    return {
        **options.asked(own), "prompt": WORDS, "init_image": image, "strength": REFINED, "width": width,
        "height": height, "metadata": dict(MARK),
    }  # fmt: skip


def _size(fields: Fields, width: int, height: int) -> tuple[int, int]:
    mode = fields.one_of("resize_mode", (0, 1), "0 or 1.")
    scale = fields.take("upscaling_resize", 2)
    asked = fields.take("upscaling_resize_w", 512), fields.take("upscaling_resize_h", 512)
    if mode == 1:
        if not all(type(edge) is int and 0 < edge <= LARGEST_SIZE for edge in asked):
            raise invalid("upscaling_resize_w", "invalid", f"Whole numbers from 1 to {LARGEST_SIZE}.")
        if abs(asked[0] * height / (asked[1] * width) - 1) > _SKEW:
            raise invalid("upscaling_resize_w", "not_supported", f"A picture keeps its shape, {width}:{height}.")
        return _whole(asked[0]), _whole(asked[1])
    if type(scale) not in {int, float} or not 1 <= scale <= MOST:
        raise invalid("upscaling_resize", "invalid", f"A number from 1 to {MOST:g}.")
    return _whole(width * scale), _whole(height * scale)


def _whole(edge: float) -> int:
    return round(edge / SIZE_MULTIPLE) * SIZE_MULTIPLE
