"""`/models`: what can be named as `model`."""

from typing import Any

from rest_framework.request import Request

from easel.problems import invalid
from generation.catalogue import available
from generation.models import Model
from tenants.authentication import principal_of
from tenants.scope import tenant_scope


def listed(request: Request) -> dict[str, Any]:
    """Every model, the default one first."""
    tenant_id = principal_of(request).tenant_id
    with tenant_scope(tenant_id):
        return {"object": "list", "data": [_described(model) for model in available(tenant_id)]}


def one(request: Request, name: str) -> dict[str, Any]:
    tenant_id = principal_of(request).tenant_id
    with tenant_scope(tenant_id):
        model = available(tenant_id).filter(name=name).first()
    if model is None:
        raise invalid("model", "unknown_model", f"The model {name!r} does not exist.")
    return _described(model)


def _described(model: Model) -> dict[str, Any]:
    owner = "easel" if model.tenant_id is None else "you"
    return {"id": model.name, "object": "model", "created": int(model.created_at.timestamp()), "owned_by": owner}
