"""`POST /v1/generations/{id}/cancel`, `POST /v1/generations/cancel`, `DELETE /v1/generations/{id}`."""

import json
from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.database import rows
from easel.fields import StrictForm, StrictList, StrictString
from easel.problems import Problem
from generation import cancel
from generation.cancel import Filter
from tenants.authentication import principal_of
from tenants.scope import tenant_scope

MOST_IDS: Final = 1_000


class CancelRequest(StrictForm):
    """Which to cancel. An empty object means everything that is unfinished."""

    ids = StrictList(
        child=serializers.UUIDField(), required=False, min_length=1, max_length=MOST_IDS, help_text="Only these."
    )
    status = serializers.ChoiceField(choices=("queued", "running"), required=False, help_text="Only what is so.")
    model = StrictString(max_length=60, required=False, help_text="Only of this model.")
    created_before = serializers.DateTimeField(required=False, help_text="Only older ones (RFC 3339).")
    metadata = serializers.DictField(
        child=StrictString(max_length=500, allow_blank=True, trim_whitespace=False), required=False,
        help_text="Only with these entries.",
    )  # fmt: skip

    def filter(self) -> Filter:
        asked = self.validated_data
        return Filter(
            ids=asked.get("ids"),
            statuses=(asked["status"],) if "status" in asked else ("queued", "running"),
            model=asked.get("model"),
            created_before=asked.get("created_before"),
            metadata=json.dumps(asked["metadata"]) if "metadata" in asked else None,
        )


class CancelOne(APIView):
    """200 where it has ended by that, 202 where its worker will end it within a step."""

    scopes: ClassVar = {"POST": "generations:write"}

    def post(self, request: Request, generation_id: UUID) -> Response:
        tenant_id = principal_of(request).tenant_id
        stopped = cancel.cancel(tenant_id, generation_id)
        if stopped.stopping:
            return Response(_answer(generation_id, "running"), status=202)
        if stopped.canceled:
            return Response(_answer(generation_id, "canceled"))
        raise _too_late(tenant_id, generation_id)


class CancelMany(APIView):
    scopes: ClassVar = {"POST": "generations:write"}

    def post(self, request: Request) -> Response:
        form = CancelRequest(data=request.data)
        form.is_valid(raise_exception=True)
        stopped = cancel.cancel_many(principal_of(request).tenant_id, form.filter())
        return Response(
            {
                "object": "cancellation",
                "canceled": [str(each) for each in stopped.canceled],
                "stopping": [str(each) for each in stopped.stopping],
                "has_more": stopped.has_more,
            }
        )


def _answer(generation_id: UUID, status: str) -> dict[str, Any]:
    return {"id": str(generation_id), "task_id": str(generation_id), "status": status, "cancel_requested": True}


def _too_late(tenant_id: UUID, generation_id: UUID) -> Problem:
    with tenant_scope(tenant_id):
        found = rows(
            "SELECT status FROM generation_generation WHERE tenant_id = %s AND id = %s AND erased_at IS NULL",
            [tenant_id, generation_id],
        )
    if not found:
        return Problem("not_found", "There is no such generation.")
    return Problem(
        "already_finished", f"It is {found[0][0]}; nothing was changed.", extra={"generation_status": found[0][0]}
    )
