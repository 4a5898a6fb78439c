"""`POST /v1/generations/{id}/tickets`: a stream ticket for a browser that shall follow this generation."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.problems import Problem
from generation.models import Generation
from tenants import tickets
from tenants.authentication import principal_of
from tenants.scope import tenant_scope


class TicketList(APIView):
    scopes: ClassVar = {"POST": tickets.NEEDS}

    def post(self, request: Request, generation_id: UUID) -> Response:
        principal = principal_of(request)
        with tenant_scope(principal.tenant_id):
            if not Generation.objects.filter(id=generation_id, erased_at=None).exists():
                raise Problem("not_found", "There is no such generation.")
        until = datetime.now(UTC) + timedelta(seconds=tickets.TICKET_SECONDS)
        return Response(
            {
                "object": "ticket",
                "ticket": tickets.issue(principal, generation_id),
                "generation_id": str(generation_id),
                "expires_at": until.isoformat().replace("+00:00", "Z"),
            },
            status=201,
            headers={"Cache-Control": "no-store"},
        )
