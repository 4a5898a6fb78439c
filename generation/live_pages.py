"""The console's list of what waits and runs now. It begins as the rows say, and goes on by the tenant's event stream,
which people follow with their session instead of a token."""

import time
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from easel.continuation import EventStream
from easel.database import rows
from generation import gallery, streams
from generation.cancel import stop
from generation.gallery import Wanted
from tenants import listeners
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

SHOWN: Final = 50
STREAM_SECONDS: Final = 3600.0  # then the browser comes back, and whether it still may is looked at anew

_UNFINISHED: Final = """
SELECT id FROM generation_generation
WHERE tenant_id = %s AND status IN ('queued', 'running') AND erased_at IS NULL ORDER BY status DESC, id DESC LIMIT %s
"""


@console_page
def live_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        ids = [found for (found,) in rows(_UNFINISHED, [visitor.tenant_id, SHOWN])]
    context = {"visitor": visitor, "jobs": _cards(visitor, ids), "most": SHOWN}
    return render(request, "console/live/page.html", context)


@console_page
def live_row(request: HttpRequest, visitor: Visitor, generation_id: UUID) -> HttpResponse:
    """One job, for a script that heard of it. It is there when its row is."""
    found = _cards(visitor, [generation_id])
    if not found:
        raise Http404
    return render(request, "console/live/row.html", {"visitor": visitor, "job": found[0]})


@console_page
def live_events(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """All events of the workspace, as `/v1/events` has them."""
    answer = HttpResponse(b": how things stand\n\n", content_type=streams.EventStreamRenderer.media_type)
    for name, value in streams.HEADERS.items():
        answer[name] = value
    last_id = request.headers.get("Last-Event-ID", "")
    answer.continuation = EventStream(  # type: ignore[attr-defined]  # what easel.bridge looks for
        channel=visitor.tenant_id,
        subject=None,
        holder=listeners.holder(visitor.user, visitor.tenant_id, request.session),
        good_until=time.time() + STREAM_SECONDS,
        last_id=last_id if streams.EVENT_ID.fullmatch(last_id) else "",
        snapshot=list,
    )
    return answer


@console_page({"POST": "pictures.make"})
def cancel_job(request: HttpRequest, visitor: Visitor, generation_id: UUID) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        stopped = stop(visitor.tenant_id, [generation_id])
    if not stopped.canceled and not stopped.stopping:
        raise Http404
    return HttpResponse(status=204)


def _cards(visitor: Visitor, ids: list[UUID]) -> list[Any]:
    wanted = Wanted(status=gallery.ALL, ids=ids)
    return gallery.page(visitor.tenant_id, wanted, key=visitor.data_key, options=False, limit=SHOWN).cards


urlpatterns = [
    path("console/live", live_page, name="live"),
    path("console/live/events", live_events, name="live-events"),
    path("console/live/<uuid:generation_id>", live_row, name="live-row"),
    path("console/live/<uuid:generation_id>/cancel", cancel_job, name="live-cancel"),
]
