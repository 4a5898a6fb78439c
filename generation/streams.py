"""`/v1/generations/{id}/events` and `/v1/events`: Server-Sent Events. The view lets in and says how things stand;
`easel.continuation` streams."""

import re
import time
from typing import Any, ClassVar, Final
from uuid import UUID

import jwt
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.continuation import EventStream
from easel.database import rows
from easel.feed import News
from easel.problems import Problem
from easel.requests import client_address
from generation import progress
from generation.events import UNFINISHED
from tenants import tickets
from tenants.authentication import BearerAuthentication, principal_of
from tenants.scope import tenant_scope
from tenants.tokens import LIFETIME, Principal

EVENT_ID = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy in front must not collect events
}


class EventStreamRenderer(BaseRenderer):
    media_type = "text/event-stream"
    format = "events"
    charset = None
    render_style = "binary"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Never empty: an answer without a body would have no type."""
        return b"".join([b": how things stand\n\n", *(news.frame for news in data)])


class TicketAuthentication(BearerAuthentication):
    """`?ticket=` instead of a token, for browsers: it opens this one stream."""

    def authenticate(self, request: Request) -> tuple[Principal, str]:
        word = request.query_params.get("ticket", "")
        if not word:
            return super().authenticate(request)
        generation_id: UUID = request.parser_context["kwargs"]["generation_id"]
        ticket = tickets.redeem(word, generation_id=generation_id, address=client_address(request._request))
        return Principal(ticket.tenant_id, ticket.key, frozenset({tickets.NEEDS}), ticket.issued_at), ""


class GenerationEvents(APIView):
    """One generation's `status`, `progress` and `preview`, until `done`."""

    scopes: ClassVar = {"GET": "generations:read"}
    authentication_classes = [TicketAuthentication]
    renderer_classes = [EventStreamRenderer]

    def get(self, request: Request, generation_id: UUID) -> Response:
        principal = principal_of(request)
        response = _stream(request, principal, generation_id, standing(principal.tenant_id, generation_id))
        if not request.auth:
            for name, value in tickets.cross_origin(principal.key, request.headers.get("Origin")).items():
                response.headers[name] = value
        return response


class AllEvents(APIView):
    """What happens to any generation of the account, for as long as the token is good."""

    scopes: ClassVar = {"GET": "generations:read"}
    renderer_classes = [EventStreamRenderer]

    def get(self, request: Request) -> Response:
        return _stream(request, principal_of(request), None, [])


def standing(tenant_id: UUID, generation_id: UUID) -> list[News]:
    """How a generation stands, as the news that would have led there. Problem not_found."""
    with tenant_scope(tenant_id):
        found = rows(
            "SELECT status FROM generation_generation WHERE tenant_id = %s AND id = %s AND erased_at IS NULL",
            [tenant_id, generation_id],
        )
    if not found:
        raise Problem("not_found", "There is no such generation.")
    ((status,),) = found
    if status not in UNFINISHED:
        return [News("", str(generation_id), "done", {"status": status})]
    news = [News("", str(generation_id), "status", {"status": status})]
    fraction = progress.of(generation_id) if status == "running" else None
    if fraction is not None:
        news.append(News("", str(generation_id), "progress", {"progress": round(fraction, 4)}))
    return news


def _stream(request: Request, principal: Principal, generation_id: UUID | None, now: list[News]) -> Response:
    response = Response(now, headers=HEADERS, content_type=EventStreamRenderer.media_type)
    last_id = request.headers.get("Last-Event-ID", "")
    response.continuation = EventStream(  # type: ignore[attr-defined]  # what easel.bridge looks for
        channel=principal.tenant_id,
        subject=generation_id,
        holder=principal.holder,
        good_until=_good_until(request),
        last_id=last_id if EVENT_ID.fullmatch(last_id) else "",
        snapshot=lambda: [] if generation_id is None else standing(principal.tenant_id, generation_id),
    )
    return response


def _good_until(request: Request) -> float:
    """When the token ends that let the client in (it was verified; here it is only read). What a ticket opened goes on
    as long as a token could."""
    if not request.auth:
        return time.time() + LIFETIME.total_seconds()
    claims: dict[str, Any] = jwt.decode(str(request.auth), options={"verify_signature": False})
    return float(claims["exp"])
