"""The answer of a call that ends with its pictures: at once where they are there, and otherwise held on the loop."""

import json
from collections.abc import Callable
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from easel.continuation import Better
from easel.insisting import Insisting
from easel.problems import KINDS, Problem
from generation import cancel, rehearsal
from generation.api import Taken, load
from generation.models import Generation, Image
from generation.rendering import UNFINISHED
from tenants.authentication import principal_of

Answer = Callable[[Generation, list[Image]], Any]


def when_done(request: Request, taken: Taken, answer: Answer) -> Response:
    """`answer` makes the body once the generation has ended, or raises what its ending means.

    A client that hangs up cancels what it asked for, unless it gave an idempotency key: nobody else knows of it.
    """
    generation = taken.generation
    if generation.status not in UNFINISHED:
        return Response(answer(generation, taken.images))
    response = Response({"id": str(generation.id)}, status=202)  # where there is no event loop to hold it
    response.continuation = _held(request, taken, answer)  # type: ignore[attr-defined]  # what easel.bridge looks for
    return response


def _held(request: Request, taken: Taken, answer: Answer) -> Insisting:
    principal, generation_id, path = principal_of(request), taken.generation.id, request.path

    def again() -> Better | None:
        generation, images = load(principal, generation_id)
        if generation.status in UNFINISHED:
            return None
        return Better(200, json.dumps(answer(generation, images)).encode(), {"content-type": "application/json"})

    return Insisting(
        channel=principal.tenant_id, subject=generation_id, holder=principal.holder,
        seconds=settings.HOLD_SECONDS, path=path, again=again, abandon=abandonment(request, taken),
    )  # fmt: skip


def abandonment(request: Request, taken: Taken) -> Callable[[], object]:
    tenant_id, generation_id = principal_of(request).tenant_id, taken.generation.id
    if taken.kept or taken.replayed:
        return lambda: None
    return lambda: cancel.cancel(tenant_id, generation_id)


def came_to_nothing(generation: Generation) -> Problem | None:
    """What a generation without pictures to show means to whoever waited for it; None for a completed one."""
    of = {"generation_id": str(generation.id)}
    match generation.status:
        case Generation.Status.COMPLETED:
            return None
        case Generation.Status.REJECTED:
            said = generation.error_detail or "Moderation let no picture through."
            return Problem("content_rejected", said, extra=of)
        case Generation.Status.IN_REVIEW:
            said = f"The pictures wait for a decision of the platform's staff: GET /v1/generations/{generation.id}."
            return Problem("content_rejected", said, extra=of)
        case Generation.Status.CANCELED:
            return Problem("already_finished", "It was canceled.", extra=of)
    kind = KINDS.get(generation.error_code)
    code = generation.error_code if kind is not None and kind.status >= 500 else "internal_error"
    said = f"It failed ({generation.error_code}); nothing was charged."
    return Problem(code, said, extra=of, rehearsed=rehearsal.rehearsed(generation))
