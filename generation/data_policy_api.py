"""`/v1/data-policy`: what a tenant asks for its data."""

from dataclasses import asdict
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import plans
from easel.problems import invalid
from tenants import data_policy
from tenants.authentication import principal_of
from tenants.scope import tenant_scope


class Wishes(serializers.Serializer[Any]):
    """Strict, as all requests: an unknown field is an error that names it."""

    seal_images = serializers.BooleanField(required=False)
    prompts_in_files = serializers.BooleanField(required=False)
    own_certificate = serializers.BooleanField(required=False)
    retention_days = serializers.IntegerField(required=False, allow_null=True, min_value=1)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            for name, value in data.items():
                if name not in self.fields:
                    raise invalid(name, "unknown_field", f"There is no field {name!r}.")
                wanted = (int, type(None)) if name == "retention_days" else bool
                if not isinstance(value, wanted) or (name == "retention_days" and isinstance(value, bool)):
                    kind = "a whole number or null" if name == "retention_days" else "true or false"
                    raise invalid(name, "bad_type", f"{name} takes {kind}.")
        return super().to_internal_value(data)


class DataPolicyView(APIView):
    scopes: ClassVar = {"GET": "account:read", "PATCH": "data:manage"}

    def get(self, request: Request) -> Response:
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            policy, limits = data_policy.policy_of(tenant_id), plans.limits_of(tenant_id)
        return Response(_told(policy, limits))

    def patch(self, request: Request) -> Response:
        """Change what is named. Files that are stored already stay as they are; the retention counts for all."""
        tenant_id = principal_of(request).tenant_id
        form = Wishes(data=request.data)
        form.is_valid(raise_exception=True)
        with tenant_scope(tenant_id):
            limits = plans.limits_of(tenant_id)
            days = form.validated_data.get("retention_days")
            if days is not None and days > limits.retention_days:
                raise invalid(
                    "retention_days", "above_plan", f"The plan keeps images for {limits.retention_days} days."
                )
            policy = data_policy.change(tenant_id, **form.validated_data)
        return Response(_told(policy, limits))


def _told(policy: data_policy.Policy, limits: plans.Limits) -> dict[str, Any]:
    effective = min(policy.retention_days or limits.retention_days, limits.retention_days)
    return {"object": "data_policy", **asdict(policy), "effective_retention_days": effective}
