"""`/predictions`: make one, read one, a page of them, cancel one, follow one."""

import json
import re
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from easel.continuation import Better, Waiting
from easel.pages import MOST, cursor_of, only
from easel.problems import Problem, invalid
from generation import cancel, waiting
from generation.api import base_url, load, take
from generation.compat.replicate import asking, models, streaming, telling
from generation.compat.replicate.asking import Wish
from generation.compat.views import READ, WRITE, DialectView, sent
from generation.paging import Query
from generation.rendering import UNFINISHED
from generation.streams import HEADERS, standing
from tenants.authentication import principal_of
from tenants.scope import tenant_scope
from tenants.tokens import LIFETIME

WAIT_SECONDS: Final = 55  # for a bare `Prefer: wait`: their client gives up after 60.5
_BARE_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*(?:$|[,;])", re.IGNORECASE)


class PredictionList(DialectView):
    scopes: ClassVar = {"GET": READ, "POST": WRITE}
    names = asking.NAMES

    def get(self, request: Request) -> Response:
        """Newest first, whichever way they were asked for."""
        only(request.query_params, {"cursor"})
        principal, root = principal_of(request), base_url(request)
        with tenant_scope(principal.tenant_id):
            page = Query(status="", model="", tag="", limit=MOST, before=cursor_of(request.query_params)).page()
        results = [
            telling.prediction(each, page.images[each.id], key=principal.data_key, base_url=root)
            for each in page.generations
        ]
        following = f"{root}{request.path}?cursor={page.next_cursor}" if page.next_cursor else None
        return Response({"previous": None, "next": following, "results": results})

    def post(self, request: Request) -> Response:
        wish = asking.read(sent(request), tenant_id=principal_of(request).tenant_id)
        if not wish.version:
            raise invalid("version", "required", "Name a version, or owner/name.")
        return _made(request, wish, models.of_version(principal_of(request), wish.version).name)


class ModelPredictions(DialectView):
    scopes: ClassVar = {"POST": WRITE}
    names = asking.NAMES

    def post(self, request: Request, owner: str, name: str) -> Response:
        wish = asking.read(sent(request), tenant_id=principal_of(request).tenant_id)
        return _made(request, wish, models.named(principal_of(request), owner, name, wish.version).name)


class PredictionDetail(DialectView):
    scopes: ClassVar = {"GET": READ}

    def get(self, request: Request, generation_id: UUID) -> Response:
        return Response(_telling(request, generation_id)())


class CancelPrediction(DialectView):
    scopes: ClassVar = {"POST": WRITE}

    def post(self, request: Request, generation_id: UUID) -> Response:
        """What is over stays as it is; what is drawn stops within a step."""
        cancel.cancel(principal_of(request).tenant_id, generation_id)
        return Response(_telling(request, generation_id)())


class PredictionStream(DialectView):
    """`output` for every picture, `logs` with the progress, `done`: Server-Sent Events."""

    scopes: ClassVar = {"GET": READ}

    def get(self, request: Request, generation_id: UUID) -> Response:
        principal = principal_of(request)
        standing(principal.tenant_id, generation_id)  # or else there is none
        response = Response({"id": str(generation_id)}, headers=HEADERS, content_type="text/event-stream")
        response.continuation = streaming.PredictionStream(  # type: ignore[attr-defined]  # what easel.bridge looks for
            channel=principal.tenant_id,
            subject=generation_id,
            holder=principal.holder,
            good_until=time.time() + LIFETIME.total_seconds(),
            last_id="",
            snapshot=lambda: standing(principal.tenant_id, generation_id),
            path=request.path,
            prediction=_telling(request, generation_id),
        )
        return response


def _made(request: Request, wish: Wish, model: str) -> Response:
    asked = {**wish.asked, "model": model}
    if "prompt" not in asked:
        raise invalid("input.prompt", "required", "prompt is required")
    taken = take(request, asked, body=asked)
    principal, generation = principal_of(request), taken.generation
    told = telling.prediction(
        generation, taken.images, key=principal.data_key, base_url=base_url(request), created=True
    )  # fmt: skip
    response = Response(told, status=201, headers={"Location": told["urls"]["get"]})
    seconds = _patience(request)
    if seconds and generation.status in UNFINISHED:
        response.continuation = Waiting(  # type: ignore[attr-defined]  # what easel.bridge looks for
            channel=principal.tenant_id,
            subject=generation.id,
            holder=principal.holder,
            seconds=seconds,
            path=request.path,
            again=_ended(request, generation.id),
        )
    return response


def _patience(request: Request) -> int:
    preferred = waiting.preferred(request)
    return preferred or (WAIT_SECONDS if _BARE_WAIT.search(request.headers.get("Prefer", "")) else 0)


def _telling(request: Request, generation_id: UUID, *, created: bool = False) -> Callable[[], dict[str, Any]]:
    """Says how a prediction stands, whenever it is asked. Raises Problem."""
    principal, root = principal_of(request), base_url(request)

    def told() -> dict[str, Any]:
        generation, images = load(principal, generation_id)
        return telling.prediction(generation, images, key=principal.data_key, base_url=root, created=created)

    return told


def _ended(request: Request, generation_id: UUID) -> Callable[[], Better | None]:
    told = _telling(request, generation_id, created=True)

    def ended() -> Better | None:
        try:
            body = told()
        except Problem:  # erased meanwhile: the first answer stands
            return None
        if body["status"] not in telling.TERMINAL:
            return None
        return Better(201, json.dumps(body).encode(), {"content-type": "application/json"})

    return ended
