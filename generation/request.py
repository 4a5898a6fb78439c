"""The body of `POST /v1/generations`: every rule that a single field can break, each with the field's name."""

import secrets
from typing import Any, Final

from rest_framework import serializers

from billing.plans import Limits
from easel import outbound
from easel.fields import StrictBoolean, StrictForm, StrictInteger, StrictNumber, StrictString
from generation import samplers
from generation.given import GivenPicture
from generation.models import Model
from generation.spec import (
    FORMATS,
    LARGEST_SEED,
    LONGEST_PROMPT,
    MOST_CLIP_SKIP,
    MOST_IMAGES,
    MOST_STEPS,
    USUAL_STRENGTH,
    GenerationSpec,
    InputReference,
)

SIZE_MULTIPLE: Final = 8
LARGEST_SIZE: Final = 4096
MOST_METADATA: Final = 16

# What means nothing by itself.
NEEDS: Final = {"mask": "init_image", "strength": "init_image", "min_steps": "quality_target"}


class GenerationRequest(StrictForm):
    """What a model decides (default steps, sizes, guidance and sampler) is settled by `spec_for`."""

    prompt = StrictString(max_length=LONGEST_PROMPT, help_text="What to draw.")
    negative_prompt = StrictString(
        max_length=LONGEST_PROMPT, required=False, allow_blank=True, default="", help_text="What to keep out."
    )
    model = StrictString(max_length=60, required=False, default="auto", help_text='A model\'s name, or "auto".')
    steps = StrictInteger(min_value=1, max_value=MOST_STEPS, required=False, help_text="Denoising steps.")
    width = StrictInteger(min_value=64, max_value=LARGEST_SIZE, required=False, help_text="Pixels, a multiple of 8.")
    height = StrictInteger(min_value=64, max_value=LARGEST_SIZE, required=False, help_text="Pixels, a multiple of 8.")
    cfg_scale = StrictNumber(
        min_value=0, max_value=30, required=False, help_text="Guidance; 1 or less switches it off."
    )
    sampler = StrictString(max_length=40, required=False, help_text="A sampler's name, as AUTOMATIC1111 writes it.")
    seed = StrictInteger(
        min_value=0, max_value=LARGEST_SEED, required=False, allow_null=True, help_text="Drawn and returned if absent"
    )
    n = StrictInteger(min_value=1, max_value=MOST_IMAGES, required=False, default=1, help_text="How many images.")
    format = serializers.ChoiceField(choices=FORMATS, required=False, default="png")
    init_image = GivenPicture(required=False, help_text="Where to start from: base64 of a picture, or an image's id.")
    mask = GivenPicture(required=False, help_text="What to draw anew of it: white is drawn, black is kept.")
    strength = StrictNumber(
        min_value=0.01, max_value=1, required=False, help_text="How far to go from `init_image`: 1 is all the way."
    )
    clip_skip = StrictInteger(
        min_value=1, max_value=MOST_CLIP_SKIP, required=False, default=1,
        help_text="Which layer of the text encoder is read, counted from the last.",
    )  # fmt: skip
    quality_target = StrictNumber(
        min_value=0.01, max_value=1, required=False, help_text="An image that scores so much may be finished early."
    )
    min_steps = StrictInteger(
        min_value=1, max_value=MOST_STEPS, required=False, help_text="But not before so many steps."
    )
    quote = StrictString(max_length=600, required=False, help_text="The word of a quote whose price binds.")
    webhook_url = StrictString(
        max_length=2000, required=False, help_text="Told of the ending, beside the account's webhook endpoints."
    )
    reuse = StrictBoolean(
        required=False, help_text="true: an earlier result will do, whatever its seed. false: draw it in any case."
    )
    fallback = StrictBoolean(
        required=False, default=True, help_text="Whether another model may draw it while this one cannot."
    )
    metadata = serializers.DictField(
        child=StrictString(max_length=500, allow_blank=True, trim_whitespace=False), required=False,
        help_text="Yours; returned as it came.",
    )  # fmt: skip

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What one field needs of another."""
        for name, needed in NEEDS.items():
            if name in attrs and needed not in attrs:
                raise serializers.ValidationError({name: [f"It needs {needed}."]}, code="needs_another_field")
        return attrs

    def validate_width(self, value: int) -> int:
        return _multiple(value)

    def validate_height(self, value: int) -> int:
        return _multiple(value)

    def validate_sampler(self, value: str) -> str:
        try:
            return samplers.find(value).name
        except samplers.UnknownSampler as error:
            raise serializers.ValidationError(str(error), code="unknown_sampler") from error

    def validate_webhook_url(self, value: str) -> str:
        """Its form only: where it leads to is looked at when something is sent there."""
        try:
            outbound.parse(value)
        except outbound.RefusedAddress as error:
            raise serializers.ValidationError(error.reason, code="refused_address") from error
        return value

    def validate_metadata(self, value: dict[str, str]) -> dict[str, str]:
        if len(value) > MOST_METADATA or any(len(name) > 40 for name in value):
            raise serializers.ValidationError(f"At most {MOST_METADATA} entries, with names of at most 40 characters.")
        return value


def spec_for(asked: dict[str, Any], model: Model) -> GenerationSpec:
    """Settle what the model decides; given pictures are settled already (`inputs.settle`). Raises DRF's ValidationError
    where a size is outside the model's limits, or less than a step would be run."""
    init_image: InputReference | None = asked.get("init_image")
    width, height = _usual_size(model, init_image)
    spec = GenerationSpec(
        prompt=asked["prompt"],
        negative_prompt=asked["negative_prompt"],
        steps=asked.get("steps", model.default_steps),
        width=asked.get("width", width),
        height=asked.get("height", height),
        cfg_scale=asked.get("cfg_scale", model.default_cfg_scale),
        sampler=asked.get("sampler", samplers.find(model.default_sampler).name),
        seed=_seed(asked.get("seed")),
        n=asked["n"],
        format=asked["format"],
        init_image=init_image,
        mask=asked.get("mask"),
        strength=asked.get("strength", USUAL_STRENGTH) if init_image else None,
        clip_skip=asked["clip_skip"],
        quality_target=asked.get("quality_target"),
        min_steps=asked.get("min_steps"),
        metadata=asked.get("metadata", {}),
        webhook_url=asked.get("webhook_url", ""),
    )
    _check(spec, model)
    return spec


def _check(spec: GenerationSpec, model: Model) -> None:
    if spec.steps > model.max_steps:
        raise serializers.ValidationError(
            {"steps": [f"The model {model.name} takes at most {model.max_steps} steps."]}, code="too_many_steps"
        )
    wrong = {
        field: [f"The model {model.name} takes {model.min_size} to {model.max_size} pixels."]
        for field in ("width", "height")
        if not model.min_size <= getattr(spec, field) <= model.max_size
    }
    if wrong:
        raise serializers.ValidationError(wrong, code="size_out_of_range")
    if spec.planned_steps < 1:
        detail = f"{spec.steps} steps at strength {spec.strength:g} are less than one step."
        raise serializers.ValidationError({"strength": [detail]}, code="no_steps_left")
    if spec.min_steps is not None and spec.min_steps > spec.planned_steps:
        detail = f"Only {spec.planned_steps} steps are run."
        raise serializers.ValidationError({"min_steps": [detail]}, code="more_than_steps")


def _usual_size(model: Model, init_image: InputReference | None) -> tuple[int, int]:
    """The model's, or else the given picture's: its shape, within the model's limits."""
    if init_image is None:
        return model.default_size, model.default_size
    shorter, longer = sorted((init_image.width, init_image.height))
    scale = min(max(1.0, model.min_size / shorter), model.max_size / longer)
    width, height = (
        min(model.max_size, max(model.min_size, round(edge * scale / SIZE_MULTIPLE) * SIZE_MULTIPLE))
        for edge in (init_image.width, init_image.height)
    )
    return width, height


def within_plan(spec: GenerationSpec, limits: Limits) -> None:
    """Raises DRF's ValidationError for every field that the tenant's plan does not allow."""
    allowed = {
        "width": limits.max_size,
        "height": limits.max_size,
        "steps": limits.max_steps,
        "n": limits.max_images,
    }
    wrong = {
        field: [f"Your plan allows at most {most}."] for field, most in allowed.items() if getattr(spec, field) > most
    }
    if wrong:
        raise serializers.ValidationError(wrong, code="over_plan_limit")


def _seed(asked: int | None) -> int:
    """A drawn seed has 32 bits: short enough to type, as users of A1111 expect."""
    return secrets.randbelow(2**32) if asked is None else asked


def _multiple(value: int) -> int:
    if value % SIZE_MULTIPLE:
        raise serializers.ValidationError(f"A multiple of {SIZE_MULTIPLE} is needed.", code="not_a_multiple")
    return value
