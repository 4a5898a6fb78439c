"""What a request of AUTOMATIC1111's asks for, in the words of `POST /v1/generations`."""

import base64
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from PIL import Image, ImageOps

from easel.problems import invalid
from easel.uploads import BadUpload, Made, decode
from generation.compat.a1111 import options, schedules
from generation.compat.fields import Fields
from generation.events import ORIGIN

MARK: Final = {ORIGIN: "a1111"}  # by which the caller's own jobs are found again
NAMES: Final = {
    "sampler": "sampler_name", "n": "batch_size", "strength": "denoising_strength", "init_image": "init_images",
    "model": "override_settings.sd_model_checkpoint", "clip_skip": "override_settings.CLIP_stop_at_last_layers",
}  # fmt: skip
NOT_SUPPORTED: Final = "This is not supported here."
_SAME: Final = ("prompt", "negative_prompt", "steps", "cfg_scale", "width", "height")
# What says how their server keeps and shows things, and what only counts beside something that is refused.
_IMMATERIAL: Final = (
    "do_not_save_samples", "do_not_save_grid", "save_images", "include_init_images", "infotext", "force_task_id",
    "comments", "disable_extra_networks", "refiner_switch_at", "image_cfg_scale", "subseed",
    "firstphase_width", "firstphase_height", "hr_scale", "hr_upscaler", "hr_second_pass_steps", "hr_resize_x",
    "hr_resize_y", "hr_checkpoint_name", "hr_sampler_name", "hr_scheduler", "hr_prompt", "hr_negative_prompt",
)  # fmt: skip
# What has to be as it is anyway.
_NEUTRAL: Final[Mapping[str, tuple[float, ...]]] = {
    "eta": (0, 1), "s_noise": (0, 1), "s_churn": (0,), "s_tmin": (0,), "s_tmax": (0,), "s_min_uncond": (0,),
    "subseed_strength": (0,), "seed_resize_from_h": (0, -1), "seed_resize_from_w": (0, -1),
    "initial_noise_multiplier": (0, 1),
}  # fmt: skip
_EXTRA_NETWORK: Final = re.compile(r"<(lora|lyco|hypernet):", re.IGNORECASE)
_COVERED: Final = (0, 1)  # resize_mode: the picture is laid over the whole size, and cut where it is longer
_KEPT: Final = (0, 1)  # inpainting_fill: what is redrawn starts from what was there
_MASK_EDGES: Final = ("mask_blur", "mask_blur_x", "mask_blur_y", "mask_round")  # a mask's edge is hard here
_OPAQUE: Final = 128  # of 255: alpha above it is a part of the mask


@dataclass(frozen=True, slots=True)
class Wish:
    """A request. `chosen` are its settings, to be kept for later requests if `lasting`."""

    asked: dict[str, Any]
    sent: dict[str, Any]  # as their server tells it back
    send_images: bool
    chosen: Mapping[str, Any]
    lasting: bool


def txt2img(sent: Mapping[str, Any], own: Mapping[str, Any]) -> Wish:
    """`own` are the caller's options. Raises Problem or ValidationError."""
    fields = Fields(sent)
    fields.take("denoising_strength")  # of the second pass, which is refused
    return _wish(sent, fields, own, {})


def img2img(sent: Mapping[str, Any], own: Mapping[str, Any]) -> Wish:
    fields = Fields(sent)
    pictures = fields.take("init_images")
    if not isinstance(pictures, list) or len(pictures) != 1:
        raise invalid("init_images", "not_supported", "One picture is taken.")
    given = {"init_image": pictures[0], "strength": fields.take("denoising_strength", 0.75), **_mask(fields)}
    fields.one_of("resize_mode", _COVERED, "0 or 1: the picture is laid over the whole size.")
    return _wish({**sent, "init_images": None, "mask": None}, fields, own, given)


def _wish(sent: Mapping[str, Any], fields: Fields, own: Mapping[str, Any], given: dict[str, Any]) -> Wish:
    chosen = options.settled(fields.take("override_settings", {}), where="override_settings.")
    lasting = fields.take("override_settings_restore_afterwards", True) is False
    send_images = fields.take("send_images", True) is not False
    asked = {**options.asked({**own, **chosen}), **given, **fields.take_as(*((name, name) for name in _SAME))}
    asked |= {"n": _number(fields), "metadata": dict(MARK)} | _seed(fields) | _sampler(fields)
    _refuse(fields, asked)
    return Wish(asked, dict(sent), send_images, chosen, lasting)


def _refuse(fields: Fields, asked: Mapping[str, Any]) -> None:
    for name in _IMMATERIAL:
        fields.take(name)
    for name, neutral in _NEUTRAL.items():
        fields.one_of(name, neutral, NOT_SUPPORTED)
    fields.none_left(NOT_SUPPORTED)
    for name in ("prompt", "negative_prompt"):
        if isinstance(text := asked.get(name), str) and _EXTRA_NETWORK.search(text):
            raise invalid(name, "not_supported", "There are no LoRAs and hypernetworks to name in a prompt.")


def _number(fields: Fields) -> int:
    """Their batches are one request of as many pictures here."""
    return fields.whole("batch_size", 1, least=1, most=8) * fields.whole("n_iter", 1, least=1, most=100)


def _seed(fields: Fields) -> dict[str, Any]:
    seed = fields.take("seed", -1)
    return {} if seed == -1 else {"seed": seed}


def _sampler(fields: Fields) -> dict[str, str]:
    older = fields.take("sampler_index")
    name, schedule = fields.take("sampler_name") or older, fields.take("scheduler")
    if not name and not schedule:
        return {}
    return {"sampler": schedules.joined(name, schedule)}


def _mask(fields: Fields) -> dict[str, str]:
    mask, invert = fields.take("mask"), fields.take("inpainting_mask_invert", 0)
    whole, fill = fields.take("inpaint_full_res", False), fields.take("inpainting_fill", 1)
    for immaterial in ("inpaint_full_res_padding", *_MASK_EDGES):  # the padding is of `inpaint_full_res`
        fields.take(immaterial)
    if mask is None:
        return {}
    if whole:
        raise invalid("inpaint_full_res", "not_supported", "The whole picture is drawn: send false.")
    if fill not in _KEPT:
        raise invalid("inpainting_fill", "not_supported", "0 or 1: it starts from what was there.")
    return {"mask": from_picture(mask, "mask", partial(_redrawn, invert=bool(invert)))}


def _redrawn(mask: Image.Image, *, invert: bool) -> str:
    where = _where(mask)
    return _encoded(ImageOps.invert(where) if invert else where)


def _where(mask: Image.Image) -> Image.Image:
    """Theirs are white where something is to be drawn, as ours are, or opaque there where anything is transparent."""
    if mask.has_transparency_data:
        alpha = mask.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            return alpha.point(lambda value: 255 if value > _OPAQUE else 0)
    return mask.convert("L")


def _encoded(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()


def from_picture(text: Any, field: str, made: Callable[[Image.Image], Made]) -> Made:
    """What `made` makes of a picture as JSON carries it. Raises Problem."""
    bare = text.partition(",")[2] if isinstance(text, str) and text.startswith("data:") else text
    try:
        data = base64.b64decode(bare, validate=True)
    except (TypeError, ValueError) as error:
        raise invalid(field, "not_base64", "Send the picture's file as base64.") from error
    try:
        return decode(data, made)
    except BadUpload as error:
        raise invalid(field, error.code, error.detail) from error
