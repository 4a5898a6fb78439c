"""What the playground's form says, as the fields of a generation: the same rules as the API's, from text fields."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict

from easel.fields import lines
from generation.quotes import QuoteRequest
from generation.request import GenerationRequest

WHOLE: Final = ("steps", "width", "height", "seed", "n", "min_steps", "clip_skip")
NUMBERS: Final = ("cfg_scale", "strength", "quality_target")
WORDS: Final = ("prompt", "negative_prompt", "model", "sampler", "format")
PICTURES: Final = ("init_image", "mask")
SHARED: Final = (*WORDS, *WHOLE, *NUMBERS)  # what a link can carry
ALWAYS: Final = {"prompt"}


def fields(form: Mapping[str, str] | QueryDict) -> dict[str, Any]:
    """The fields that were filled in, numbers as numbers. What is no number stays text: the rules name the field."""
    given = {name: lines(str(form.get(name, ""))).strip() for name in (*SHARED, *PICTURES)}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value or name in ALWAYS}
    if not given["init_image"]:
        for name in ("mask", "strength"):
            asked.pop(name, None)
    if "quality_target" not in asked:
        asked.pop("min_steps", None)
    for name in (*WHOLE, *NUMBERS):
        if name in asked:
            asked[name] = _number(asked[name], whole=name in WHOLE)
    return asked


def validated(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Raises DRF's ValidationError."""
    form = GenerationRequest(data=dict(asked))
    form.is_valid(raise_exception=True)
    data: dict[str, Any] = form.validated_data
    return data


def validated_for_quote(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The same without a prompt's being needed. Raises DRF's ValidationError."""
    form = QuoteRequest(data=dict(asked))
    form.is_valid(raise_exception=True)
    data: dict[str, Any] = form.validated_data
    return data


@dataclass(frozen=True, slots=True)
class Settings:
    """What the form shows at first: a shared link's or an earlier generation's, and elsewhere the model's own."""

    values: dict[str, str]

    @classmethod
    def of_link(cls, query: QueryDict) -> "Settings":
        said = {name: query.get(name) for name in (*SHARED, *PICTURES)}
        return cls({name: value for name, value in said.items() if value})


def body(asked: Mapping[str, Any]) -> dict[str, Any]:
    """As a program would send it. Pictures painted in the browser are too long to read, and are left to be put in."""
    return {
        name: "<base64 of a picture>" if name in PICTURES and len(str(value)) > 100 else value
        for name, value in asked.items()
    }


def as_json(asked: Mapping[str, Any]) -> str:
    return json.dumps(body(asked), ensure_ascii=False, indent=2)


def _number(text: str, *, whole: bool) -> int | float | str:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        return text
