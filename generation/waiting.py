"""`Prefer: wait=N`: an answer about unfinished work is held until the work has ended, at most MOST_SECONDS."""

import re
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from easel.continuation import Better, Waiting
from tenants.authentication import principal_of

MOST_SECONDS: Final = 60
_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:$|[,;])', re.IGNORECASE | re.ASCII)


def preferred(request: Request) -> int:
    """How long the client would wait, in seconds; 0 where it would not, or says it in a way nobody understands
    (RFC 7240: such a preference is ignored)."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), MOST_SECONDS) if found else 0


def hold(response: Response, request: Request, generation_id: UUID, again: Callable[[], Response | None]) -> Response:
    """Let the response be held, if the client prefers to wait. `again` makes the finished answer, or None while there
    is none."""
    seconds = preferred(request)
    if seconds:
        principal = principal_of(request)
        response.continuation = Waiting(  # type: ignore[attr-defined]  # what easel.bridge looks for
            channel=principal.tenant_id,
            subject=generation_id,
            holder=principal.holder,
            seconds=seconds,
            path=request.path,
            again=lambda: _better(again()),
        )
    return response


def _better(response: Response | None) -> Better | None:
    if response is None:
        return None
    data: Any = response.data
    body = data if isinstance(data, bytes) else JSONRenderer().render(data)
    kept = {name: value for name, value in response.headers.items() if name.lower() != "content-type"}
    return Better(response.status_code, body, {**kept, "content-type": response.content_type or "application/json"})
