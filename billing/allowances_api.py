"""`/v1/allowances`: limits that a tenant sets for itself or for one of its keys, on top of its plan's."""

from typing import Any, ClassVar

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import allowances
from billing.allowances import LARGEST, LIMITS
from billing.models import Allowance
from easel.fields import StrictForm, StrictInteger
from easel.problems import invalid
from tenants.api import actor_of
from tenants.authentication import principal_of
from tenants.models import APIKey
from tenants.scope import tenant_scope


def _limit(what: str, *, least: int = 0) -> serializers.Field[Any, Any, Any, Any]:
    return StrictInteger(
        min_value=least, max_value=LARGEST, allow_null=True, required=False, help_text=f"{what}; null: no limit."
    )


class AllowanceForm(StrictForm):
    spend_cap = _limit("Credits a calendar month (UTC)")
    generations_per_day = _limit("Generations a day (UTC)")
    generations_per_month = _limit("Generations a month (UTC)")
    requests_per_minute = _limit("Calls a minute that change something; reads may be ten times as many", least=1)


class AllowanceList(APIView):
    scopes: ClassVar = {"GET": "account:read"}

    def get(self, request: Request) -> Response:
        """What is limited so far: the account's own (`key` is null), and its keys'."""
        with tenant_scope(principal_of(request).tenant_id):
            keys = dict(APIKey.objects.values_list("id", "public_id"))
            data = [describe(each, keys.get(each.key_id)) for each in Allowance.objects.order_by("key_id")]
        return Response({"object": "list", "data": data})


class AllowanceDetail(APIView):
    """`account`, or a key's public id."""

    scopes: ClassVar = {"PATCH": "account:write"}

    def patch(self, request: Request, whose: str) -> Response:
        """Change what is named; null lifts it. A key that is limited itself can only lower limits, and a test key only
        changes those of test keys. The staff's cap stands beside your own; the lower counts."""
        form = AllowanceForm(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        asked, caller = form.validated_data, principal_of(request)
        if not asked:
            raise invalid("", "empty", "Name at least one limit.")
        with tenant_scope(caller.tenant_id):
            allowance, public_id = allowances.change(
                caller.tenant_id, whose, asked, actor=actor_of(request), caller=caller
            )
        return Response(describe(allowance, public_id))


def describe(allowance: Allowance, public_id: str | None) -> dict[str, Any]:
    limits = {name: getattr(allowance, name) for name in LIMITS}
    return {"object": "allowance", "key": public_id, **limits, "staff_cap": allowance.staff_cap}


urlpatterns = [
    path("v1/allowances", AllowanceList.as_view(), name="allowances"),
    path("v1/allowances/<str:whose>", AllowanceDetail.as_view(), name="allowance"),
]
