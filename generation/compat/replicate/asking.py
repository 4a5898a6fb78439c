"""What a prediction's body asks for, in the words of `POST /v1/generations`."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from easel.problems import invalid
from generation.compat.fields import Fields
from generation.downloads import fetched
from generation.events import ORIGIN

MARK: Final = "replicate"
FORMATS: Final[Mapping[str, str]] = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
# Theirs → ours, in the order in which a model's description shows them.
INPUTS: Final[Mapping[str, str]] = {
    "prompt": "prompt", "negative_prompt": "negative_prompt", "width": "width", "height": "height",
    "num_outputs": "n", "num_inference_steps": "steps", "guidance_scale": "cfg_scale", "scheduler": "sampler",
    "seed": "seed", "output_format": "format", "image": "init_image", "mask": "mask", "prompt_strength": "strength",
}  # fmt: skip
NAMES: Final = {ours: f"input.{theirs}" for theirs, ours in INPUTS.items()} | {"webhook_url": "webhook"}
SCHEDULERS: Final[Mapping[str, str]] = {  # as the models of Replicate's own call them
    "K_EULER": "Euler", "K_EULER_ANCESTRAL": "Euler a", "DPMSolverMultistep": "DPM++ 2M", "KarrasDPM":
    "DPM++ 2M Karras", "HeunDiscrete": "Heun", "KLMS": "LMS", "PNDM": "PLMS",
}  # fmt: skip
NO_INPUT: Final = "The model has no such input."
_FILE: Final = re.compile(r"/compat/replicate/v1/files/([0-9a-f-]{36})$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """A body. `version` is empty where the address names the model."""

    asked: dict[str, Any]
    version: str


def read(sent: Mapping[str, Any], *, tenant_id: UUID) -> Wish:
    """Raises Problem or ValidationError."""
    body = Fields(sent)
    given = body.take("input", {})
    if not isinstance(given, dict):
        raise invalid("input", "invalid", "An object.")
    asked = _asked(Fields(given, where="input."), tenant_id)
    older = body.take("webhook_completed")
    if webhook := body.take("webhook") or older:
        asked["webhook_url"] = webhook
    _only_completed(body)
    body.take("stream")  # every prediction can be streamed
    version = body.take("version", "")
    if not isinstance(version, str):
        raise invalid("version", "invalid", "A text.")
    body.none_left("There is no such field.")
    return Wish(asked | {"metadata": {ORIGIN: MARK}}, version)


def _asked(fields: Fields, tenant_id: UUID) -> dict[str, Any]:
    wanted = fields.one_of("output_format", FORMATS, f"One of {', '.join(FORMATS)}.")
    pictures = {INPUTS[name]: _picture(fields.take(name), f"input.{name}", tenant_id) for name in ("image", "mask")}
    asked = fields.take_as(*INPUTS.items())
    fields.none_left(NO_INPUT)
    if wanted:
        asked["format"] = FORMATS[wanted]
    if isinstance(sampler := asked.get("sampler"), str):
        asked["sampler"] = SCHEDULERS.get(sampler, sampler)
    return asked | {name: picture for name, picture in pictures.items() if picture is not None}


def _picture(given: Any, field: str, tenant_id: UUID) -> Any:
    """A file of ours by its address, another's fetched, or what it says itself (`data:`)."""
    if not isinstance(given, str):
        return given
    if (ours := _FILE.search(given)) is not None:
        return ours[1]
    if given.startswith(("http:", "https:")):
        return base64.b64encode(fetched(given, field, tenant_id=tenant_id)).decode()
    return given


def _only_completed(body: Fields) -> None:
    wanted = body.take("webhook_events_filter")
    if wanted is not None and not (isinstance(wanted, list) and "completed" in wanted):
        raise body.refused("webhook_events_filter", 'Webhooks tell of "completed".')
