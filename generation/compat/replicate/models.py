"""Models as Replicate names them: `easel/<name>`, each with the one version that its files are."""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from rest_framework.request import Request

from easel.problems import Problem
from generation import samplers
from generation.catalogue import available
from generation.compat.replicate.asking import FORMATS, INPUTS
from generation.models import Model
from generation.spec import LARGEST_SEED, MOST_IMAGES
from tenants.authentication import principal_of
from tenants.scope import tenant_scope
from tenants.tokens import Principal

OWNER: Final = "easel"


def version_of(model: Model) -> str:
    """64 hexadecimal digits that are another model's never, and other ones once its files are."""
    return hashlib.sha256(f"{model.name}:{model.digest or model.revision}:{model.prompt_prefix}".encode()).hexdigest()


def listed(request: Request) -> dict[str, Any]:
    return _page(described(model) for model in _all(principal_of(request)))


def one(request: Request, owner: str, name: str) -> dict[str, Any]:
    return described(named(principal_of(request), owner, name))


def versions(request: Request, owner: str, name: str) -> dict[str, Any]:
    return _page([_version(named(principal_of(request), owner, name))])


def version(request: Request, owner: str, name: str, version_id: str) -> dict[str, Any]:
    return _version(named(principal_of(request), owner, name, version_id))


def named(principal: Principal, owner: str, name: str, version_id: str = "") -> Model:
    """Raises Problem not_found."""
    for model in _all(principal):
        if owner == OWNER and model.name == name and version_id in {"", version_of(model)}:
            return model
    raise _unknown()


def of_version(principal: Principal, version_id: str) -> Model:
    """A model by what `version` may hold: a version's id, `owner/name`, or both with a colon between them."""
    where, _, digits = version_id.rpartition(":") if ":" in version_id else (version_id, "", "")
    if "/" in where:
        owner, _, name = where.partition("/")
        return named(principal, owner, name, digits)
    for model in _all(principal):
        if version_of(model) == version_id:
            return model
    raise _unknown()


def described(model: Model) -> dict[str, Any]:
    return {
        "url": "",
        "owner": OWNER,
        "name": model.name,
        "description": model.description or model.title,
        "visibility": "public" if model.tenant_id is None else "private",
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 0,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": _version(model),
    }


def _version(model: Model) -> dict[str, Any]:
    return {
        "id": version_of(model),
        "created_at": model.created_at.isoformat().replace("+00:00", "Z"),
        "cog_version": "easel",
        "openapi_schema": {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "components": {"schemas": {"Input": _input(model), "Output": _OUTPUT}},
        },
    }


_OUTPUT: Final = {"type": "array", "items": {"type": "string", "format": "uri"}, "title": "Output"}


def _input(model: Model) -> dict[str, Any]:
    """The fields of `input`, in the order in which they are shown."""
    size = {"type": "integer", "minimum": model.min_size, "maximum": model.max_size, "default": model.default_size}
    more: dict[str, dict[str, Any]] = {
        "width": size,
        "height": size,
        "num_outputs": {"type": "integer", "minimum": 1, "maximum": MOST_IMAGES, "default": 1},
        "num_inference_steps": {
            "type": "integer", "minimum": 1, "maximum": model.max_steps, "default": model.default_steps,
        },
        "guidance_scale": {"type": "number", "minimum": 0, "maximum": 30, "default": model.default_cfg_scale},
        "scheduler": {
            "type": "string", "enum": [each.name for each in samplers.SAMPLERS], "default": model.default_sampler,
        },
        "seed": {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED},
        "output_format": {"type": "string", "enum": list(FORMATS), "default": "png"},
        "image": {"type": "string", "format": "uri"},
        "mask": {"type": "string", "format": "uri"},
        "prompt_strength": {"type": "number", "minimum": 0.01, "maximum": 1},
    }  # fmt: skip
    fields = {name: {"type": "string", **more.get(name, {})} for name in INPUTS}
    return {
        "type": "object", "title": "Input", "required": ["prompt"],
        "properties": {
            name: {**field, "title": name.replace("_", " ").capitalize(), "x-order": order}
            for order, (name, field) in enumerate(fields.items())
        },
    }  # fmt: skip


def _all(principal: Principal) -> list[Model]:
    with tenant_scope(principal.tenant_id):
        return list(available(principal.tenant_id))


def _page(results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"previous": None, "next": None, "results": list(results)}


def _unknown() -> Problem:
    return Problem("not_found", "There is no such model or version.")
