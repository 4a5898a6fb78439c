"""`/v1/routes`: which model "auto" takes for prompts of a category, and what a tenant sets instead."""

from typing import Any, ClassVar

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.database import rows
from easel.fields import StrictForm, StrictString
from easel.identifiers import new_id
from easel.problems import Problem
from generation import routing
from generation.categories import CATEGORIES
from generation.models import RouteOverride
from tenants.authentication import principal_of
from tenants.scope import tenant_scope

_SET = """
INSERT INTO generation_routeoverride (id, tenant_id, category, model_id) VALUES (%s, %s, %s, %s)
ON CONFLICT (tenant_id, category) DO UPDATE SET model_id = EXCLUDED.model_id, created_at = now()
"""


class RouteForm(StrictForm):
    model = StrictString(max_length=60, help_text="The model's name.")


class RouteList(APIView):
    scopes: ClassVar = {"GET": "generations:read"}

    def get(self, request: Request) -> Response:
        """Every category with the model that "auto" takes for it."""
        with tenant_scope(principal_of(request).tenant_id):
            return Response({"data": [_route(principal_of(request).tenant_id, each) for each in CATEGORIES]})


class RouteDetail(APIView):
    scopes: ClassVar = {"PUT": "generations:write", "DELETE": "generations:write"}

    def put(self, request: Request, category: str) -> Response:
        """Send prompts of this category to a model of your choice."""
        tenant_id = principal_of(request).tenant_id
        _known(category)
        form = RouteForm(data=request.data)
        form.is_valid(raise_exception=True)
        with tenant_scope(tenant_id):
            model = routing.choose(form.validated_data["model"], tenant_id).model
            rows(_SET, [new_id(), tenant_id, category, model.id])
            return Response(_route(tenant_id, category))

    def delete(self, request: Request, category: str) -> Response:
        """Leave the category to the platform again."""
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            RouteOverride.objects.filter(category=_known(category)).delete()
            return Response(_route(tenant_id, category))


def _route(tenant_id: Any, category: str) -> dict[str, Any]:
    model, own = routing.model_for(tenant_id, category)
    return {"category": category, "model": model.name if model else None, "own": own}


def _known(category: str) -> str:
    if category not in CATEGORIES:
        raise Problem("not_found", f"There is no category {category!r}: {', '.join(CATEGORIES)}.")
    return category


urlpatterns = [
    path("v1/routes", RouteList.as_view(), name="routes"),
    path("v1/routes/<slug:category>", RouteDetail.as_view(), name="route"),
]
