"""What there is to choose from. Lists of what Easel has not are empty, so that clients offer none of it."""

from typing import Any, ClassVar

from django.http import HttpResponse, JsonResponse
from rest_framework.request import Request

from generation.catalogue import available
from generation.compat.a1111 import options, schedules
from generation.compat.a1111.upscaling import UPSCALER
from generation.compat.views import WRITE, DialectView
from tenants.authentication import principal_of
from tenants.scope import tenant_scope


def sd_models(request: Request) -> list[dict[str, Any]]:
    tenant_id = principal_of(request).tenant_id
    with tenant_scope(tenant_id):
        models = list(available(tenant_id))
    return [
        {
            "title": options.title(model.name, model.version), "model_name": model.name,
            "hash": model.version or None, "sha256": model.digest or None,
            "filename": f"{model.name}.safetensors", "config": None,
        }
        for model in models
    ]  # fmt: skip


def samplers(request: Request) -> list[dict[str, Any]]:
    return schedules.samplers()


def schedulers(request: Request) -> list[dict[str, Any]]:
    return schedules.schedules()


def upscalers(request: Request) -> list[dict[str, Any]]:
    return [{"name": UPSCALER, "model_name": None, "model_path": None, "model_url": None, "scale": 2}]


def scripts(request: Request) -> dict[str, list[str]]:
    return {"txt2img": [], "img2img": []}


def embeddings(request: Request) -> dict[str, dict[str, Any]]:
    return {"loaded": {}, "skipped": {}}


def cmd_flags(request: Request) -> dict[str, Any]:
    return {"api": True, "nowebui": True}


def nothing(request: Request) -> list[Any]:
    """An empty list."""
    return []


class Refresh(DialectView):
    """Models are registered by the platform's staff: there is no folder to look into anew."""

    scopes: ClassVar = {"POST": WRITE}

    def post(self, request: Request) -> HttpResponse:
        return JsonResponse(None, safe=False)
