"""What can be asked for: `/v1/models`, `/v1/samplers`, and the page of what the starter model can draw."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from generation import routing, samplers
from generation.models import Model
from generation.registry import STARTER, STARTER_STYLES
from tenants.authentication import principal_of
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

CONTACT_SHEET: Final = "contact-sheet.webp"
STARTER_NAMES: Final = frozenset({STARTER, *(style.name for style in STARTER_STYLES)})


class ModelList(APIView):
    """The models that the caller may name, the default one first."""

    scopes: ClassVar = {"GET": "generations:read"}

    def get(self, request: Request) -> Response:
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            models = list(available(tenant_id))
        return Response({"data": [describe(model) for model in models]})


class ModelSample(APIView):
    """A sheet of pictures that a model drew, where there is one."""

    scopes: ClassVar = {"GET": "generations:read"}

    def get(self, request: Request, name: str) -> FileResponse:
        return sample(name, principal_of(request).tenant_id)


class SamplerList(APIView):
    """The samplers' names, as AUTOMATIC1111 writes them, and how often each runs the model in 20 steps."""

    scopes: ClassVar = {"GET": "generations:read"}

    def get(self, request: Request) -> Response:
        return Response(
            {"data": [{"name": each.name, "model_calls_at_20_steps": each.calls(20)} for each in samplers.SAMPLERS]}
        )


@console_page
def models_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        models = [(model, sample_file(model) is not None) for model in available(visitor.tenant_id)]
    context = {"visitor": visitor, "models": models, "starter": STARTER, "vocabulary": vocabulary()}
    return render(request, "console/models.html", context)


@console_page
def sample_page(request: HttpRequest, visitor: Visitor, name: str) -> FileResponse:
    return sample(name, visitor.tenant_id)


def sample(name: str, tenant_id: UUID) -> FileResponse:
    """Raises Http404."""
    with tenant_scope(tenant_id):
        model = available(tenant_id).filter(name=name, tenant=None).first()
    sheet = sample_file(model) if model else None
    if sheet is None:
        raise Http404
    return FileResponse(sheet.open("rb"), content_type="image/webp")


def sample_file(model: Model) -> Path | None:
    """The sheet that came with the starter; None for other models, and where another one stands in for the starter."""
    if model.tenant_id is not None or model.name not in STARTER_NAMES:
        return None
    if model.name == STARTER:
        sheet = settings.STARTER_FOLDER / CONTACT_SHEET
    else:
        sheet = settings.STARTER_FOLDER.parent / "samples" / f"{model.name}.webp"
    return sheet if sheet.is_file() else None


def available(tenant_id: UUID) -> QuerySet[Model]:
    """What the current tenant may ask for, the default one first."""
    return routing.usable(tenant_id).select_related("fallback").order_by("-is_default", "name")


def describe(model: Model) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": model.name,
        "title": model.title,
        "description": model.description,
        "version": model.version,
        "license": model.license,
        "default": model.is_default,
        "native_size": model.native_size,
        "prompt_prefix": model.prompt_prefix,
        "categories": model.categories,
        "limits": {"min_size": model.min_size, "max_size": model.max_size},
        "defaults": {
            "steps": model.default_steps,
            "width": model.default_size,
            "height": model.default_size,
            "cfg_scale": model.default_cfg_scale,
            "sampler": model.default_sampler,
        },
    }
    if sample_file(model):
        described["sample"] = f"/v1/models/{model.name}/sample"
    if model.name == STARTER and model.tenant_id is None:
        described["vocabulary"] = vocabulary()
    return described


def vocabulary() -> dict[str, list[str]]:
    """Category → English names of what the starter model was taught; empty where another model stands in for it."""
    return _vocabulary(settings.STARTER_FOLDER.parent / "vocabulary.json")


@lru_cache(maxsize=2)
def _vocabulary(file: Path) -> dict[str, list[str]]:
    if not file.is_file():
        return {}
    names: dict[str, list[str]] = {}
    for concept in json.loads(file.read_text(encoding="utf-8"))["concepts"]:
        names.setdefault(concept["category"], []).append(concept["name"])
    return {category: sorted(members) for category, members in sorted(names.items())}


urlpatterns = [
    path("v1/models", ModelList.as_view(), name="models"),
    path("v1/models/<slug:name>/sample", ModelSample.as_view(), name="model-sample"),
    path("v1/samplers", SamplerList.as_view(), name="samplers"),
    path("console/models", models_page, name="models-page"),
    path("console/models/<slug:name>/sample", sample_page, name="sample-page"),
]
