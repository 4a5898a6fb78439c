"""`/images/edits` as a form: text fields into what JSON would have had, files into pictures of ours."""

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any, Final

from PIL import Image, ImageOps
from rest_framework.parsers import MultiPartParser

from easel.problems import invalid
from easel.uploads import BadUpload, decode

_FILES: Final = ("image", "mask")
_TRUTH: Final = {"true": True, "false": False}
_KINDS: Final[Mapping[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("n", "partial_images", "output_compression", "steps", "seed", "clip_skip", "min_steps"), int),
    **dict.fromkeys(("cfg_scale", "strength", "quality_target"), float),
    **dict.fromkeys(("stream", "reuse", "fallback"), _TRUTH.__getitem__),
}


class EditParser(MultiPartParser):
    """A form as one dictionary: a file is bytes, and what cannot be read as its kind stays text for its field to
    refuse."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        form = super().parse(stream, media_type, parser_context)
        sent: dict[str, Any] = {}
        for name, values in (*form.data.lists(), *form.files.lists()):
            bare = name.removesuffix("[]")
            if bare in sent or len(values) > 1:
                raise invalid(bare, "not_supported", "One is taken.")
            value = values[0]
            sent[bare] = _read(bare, value) if isinstance(value, str) else value.read()
        return sent


def pictures(sent: dict[str, Any]) -> dict[str, Any]:
    """What to start from, taken out of the request's fields: `init_image`, and `mask` where there is one."""
    image, mask = (sent.pop(name, None) for name in _FILES)
    if not image or not isinstance(image, bytes | str):
        raise invalid("image", "required", "Send the picture to be edited.")
    given = {"init_image": image if isinstance(image, str) else base64.b64encode(image).decode()}
    if mask is None:
        return given
    if not isinstance(mask, bytes):
        raise invalid("mask", "not_supported", "Send the mask as a file.")
    return given | {"mask": _redrawn(mask), "strength": 1.0}


def _redrawn(mask: bytes) -> str:
    """OpenAI's masks are transparent where something is to be drawn, ours are white there."""
    try:
        return decode(mask, _inverted)
    except BadUpload as error:
        raise invalid("mask", error.code, error.detail) from error


def _inverted(mask: Image.Image) -> str:
    if not mask.has_transparency_data:
        raise invalid("mask", "no_transparency", "Nothing in the mask is transparent: nothing would be drawn.")
    file = io.BytesIO()
    ImageOps.invert(mask.convert("RGBA").getchannel("A")).save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()


def _read(name: str, text: str) -> Any:
    try:
        return _KINDS.get(name, str)(text)
    except (ValueError, KeyError):
        return text
