"""What an images request of OpenAI's asks for, in the words of `POST /v1/generations`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from generation.compat.fields import Fields
from generation.events import ORIGIN

_SIZE: Final = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})", re.ASCII)
MOST_PARTIALS: Final = 3
BOTH: Final = ("b64_json", "url")
# What `extra_body` of their clients can carry: our own fields under our own names.
OURS: Final = (
    "negative_prompt", "steps", "cfg_scale", "sampler", "seed", "clip_skip", "quality_target", "min_steps", "reuse",
    "fallback", "webhook_url",
)  # fmt: skip
ONLY_RASTER: Final = "png, webp or jpeg."
NOT_SUPPORTED: Final = "This is not supported here."


@dataclass(frozen=True, slots=True)
class Wish:
    """A request, and how its answer shall look. `call` is `image_generation` or `image_edit`."""

    call: str
    asked: dict[str, Any]
    shown: tuple[str, ...]  # of each picture: b64_json, url
    stream: bool
    partial_images: int


def read(sent: Mapping[str, Any], *, call: str, given: Mapping[str, Any] | None = None) -> Wish:
    """`given` are the pictures that it starts from, already in our words. Raises Problem or ValidationError."""
    fields = Fields(sent)
    asked: dict[str, Any] = {"prompt": fields.take("prompt"), "n": fields.take("n", 1), **(given or {})}
    asked |= {"model": fields.take("model", "auto"), "metadata": _metadata(fields, call)}
    asked |= fields.take_as(*((name, name) for name in OURS))
    if given:
        asked |= fields.take_as(("strength", "strength"))
    asked |= _size(fields) | _format(fields)
    stream = bool(fields.one_of("stream", (True, False), "true or false."))
    partial_images = fields.whole("partial_images", 0, least=0, most=MOST_PARTIALS)
    shown = fields.one_of("response_format", BOTH, "b64_json, url, or left out for both.")
    if partial_images and not stream:
        raise fields.refused("partial_images", "It needs stream: true.")
    if stream and asked["n"] != 1:
        raise fields.refused("n", "A stream is of one picture.")
    _only_what_we_do(fields)
    if asked["prompt"] is None:
        del asked["prompt"]  # so that it is missed by its name
    return Wish(call, asked, (shown,) if shown else BOTH, stream, partial_images)


def _only_what_we_do(fields: Fields) -> None:
    fields.one_of("quality", ("auto", "standard", "medium"), 'auto; for more or less, say "steps".')
    fields.one_of("background", ("auto", "opaque"), "Pictures are opaque.")
    fields.one_of("moderation", ("auto",), "It follows the policy of your account.")
    fields.one_of("output_compression", (100,), "Pictures have one compression.")
    fields.none_left(NOT_SUPPORTED)


def _size(fields: Fields) -> dict[str, int]:
    text = fields.take("size", "auto")
    if text == "auto":
        return {}
    found = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise fields.refused("size", "auto, or WIDTHxHEIGHT.")
    return {"width": int(found[1]), "height": int(found[2])}


def _format(fields: Fields) -> dict[str, str]:
    wanted = fields.one_of("output_format", ("png", "webp", "jpeg"), ONLY_RASTER)
    return {"format": wanted} if wanted else {}


def _metadata(fields: Fields, call: str) -> dict[str, Any]:
    """With whoever their end user is: what both of OpenAI's names for it are for."""
    older = fields.take("user")
    user = fields.take("safety_identifier") or older
    own = fields.take("metadata", {})
    if not isinstance(own, dict):
        raise fields.refused("metadata", "An object of texts.")
    return {**own, **({"user": user} if user else {}), ORIGIN: f"openai:{call}"}
