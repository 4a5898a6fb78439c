"""`/v1/images/{id}/variations` and `/upscale`: a new generation that starts from one of the tenant's images.

Both are image-to-image on the model that drew it, with the words and settings it was drawn with, and pass through the
same door as any other request: the same rules, price, idempotency and moderation.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.views import APIView

from easel.crypto import CryptoError
from easel.fields import StrictForm, StrictInteger, StrictNumber, StrictString
from easel.problems import Problem, as_problem
from generation.api import accept
from generation.models import Generation, Image
from generation.prompts import open_prompts
from generation.request import SIZE_MULTIPLE
from generation.spec import FORMATS, LARGEST_SEED, MOST_IMAGES
from tenants.authentication import principal_of
from tenants.scope import tenant_scope
from tenants.tokens import Principal

VARIED: Final = 0.6  # strength: the same scene, other details
REFINED: Final = 0.3  # the same picture, with details of its new size


class VariationsRequest(StrictForm):
    prompt = StrictString(max_length=4_000, required=False, help_text="Other words than the image was drawn with.")
    strength = StrictNumber(min_value=0.01, max_value=1, required=False, default=VARIED)
    seed = StrictInteger(min_value=0, max_value=LARGEST_SEED, required=False, help_text="Drawn if absent.")
    n = StrictInteger(min_value=1, max_value=MOST_IMAGES, required=False, default=1)
    format = StrictString(required=False, help_text=f"One of {', '.join(FORMATS)}.")


class UpscaleRequest(StrictForm):
    scale = StrictNumber(min_value=1.25, max_value=4, required=False, default=2.0, help_text="Of each edge.")
    strength = StrictNumber(min_value=0.01, max_value=1, required=False, default=REFINED)
    format = StrictString(required=False, help_text=f"One of {', '.join(FORMATS)}.")


class Variations(APIView):
    scopes: ClassVar = {"POST": "generations:write"}

    def post(self, request: Request, image_id: UUID) -> Response:
        """Pictures like this one: as many as `n`, each with a seed of its own."""
        form = VariationsRequest(data=request.data)
        form.is_valid(raise_exception=True)
        return accept(request, variations_of(principal_of(request), image_id, form.validated_data))


class Upscale(APIView):
    scopes: ClassVar = {"POST": "generations:write"}

    def post(self, request: Request, image_id: UUID) -> Response:
        """The same picture, larger: enlarged, and then drawn a little further at its new size (a second pass)."""
        form = UpscaleRequest(data=request.data)
        form.is_valid(raise_exception=True)
        asked = upscaled(principal_of(request), image_id, form.validated_data)
        try:
            return accept(request, asked)
        except ValidationError as error:
            raise _of_scale(error, asked) from error


def variations_of(principal: Principal, image_id: UUID, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a generation for a validated VariationsRequest. Raises Problem."""
    image, again = _drawn_with(principal, image_id)
    return again | {"width": image.width, "height": image.height} | dict(asked)


def upscaled(principal: Principal, image_id: UUID, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a generation for a validated UpscaleRequest. Raises Problem."""
    image, again = _drawn_with(principal, image_id)
    rest = {name: value for name, value in asked.items() if name != "scale"}
    scale = asked["scale"]
    size = {"width": _scaled(image.width, scale), "height": _scaled(image.height, scale), "seed": image.seed}
    return again | size | rest


def _drawn_with(principal: Principal, image_id: UUID) -> tuple[Image, dict[str, Any]]:
    """The image, and the fields of a request that starts from it. Raises Problem."""
    with tenant_scope(principal.tenant_id):
        image = Image.objects.filter(id=image_id, released_at__isnull=False).first()
        generation = (
            Generation.objects.select_related("model").filter(id=image.generation_id, erased_at__isnull=True).first()
            if image
            else None
        )
    if image is None or generation is None:
        raise Problem("not_found", "There is no such image.")
    prompt, negative_prompt = _words(generation, principal)
    return image, {
        "prompt": prompt, "negative_prompt": negative_prompt, "model": generation.model.name,
        "steps": generation.steps, "cfg_scale": generation.cfg_scale, "sampler": generation.sampler,
        "clip_skip": generation.clip_skip, "format": generation.format, "init_image": str(image.id),
    }  # fmt: skip


def _words(generation: Generation, principal: Principal) -> tuple[str, str]:
    try:
        return open_prompts(
            generation.prompt_sealed,
            generation.negative_prompt_sealed,
            key=principal.data_key,
            generation_id=generation.id,
        )
    except CryptoError as error:
        raise Problem("not_found", "The prompt of this image cannot be read any more.") from error


def _of_scale(error: ValidationError, asked: Mapping[str, Any]) -> Problem:
    """Nobody asked for a width or a height: what is wrong with them is the scale."""
    told = as_problem(error)
    size = f"That is {asked['width']} x {asked['height']} pixels. "
    errors = dict.fromkeys(
        replace(each, field="scale", detail=size + each.detail) if each.field in {"width", "height"} else each
        for each in told.errors
    )
    named = ", ".join(dict.fromkeys(each.field for each in errors))
    return Problem(told.code, f"Check these fields: {named}.", errors=list(errors))


def _scaled(edge: int, scale: float) -> int:
    return round(edge * scale / SIZE_MULTIPLE) * SIZE_MULTIPLE
