"""`/v1/generations`: make one, read one, poll it, fetch it. Thin: the work is in `submission` and `rendering`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.database import rows
from easel.problems import Problem
from easel.requests import current_request_id
from generation import erasure, media, position, progress, refusals, rendering, submission, waiting
from generation.idempotency import IdempotencyKey, Replayed
from generation.models import Generation, Image
from generation.paging import Query
from generation.request import GenerationRequest
from tenants.authentication import principal_of
from tenants.scope import tenant_scope
from tenants.tokens import Principal

POLL_SECONDS = "1"
REPLAYED = {"Idempotent-Replayed": "true"}


class GenerationList(APIView):
    scopes: ClassVar = {"POST": "generations:write", "GET": "generations:read"}

    def get(self, request: Request) -> Response:
        """A page of the account's generations, newest first."""
        principal, query = principal_of(request), Query.read(request.query_params)
        with tenant_scope(principal.tenant_id):
            page = query.page()
        key, root = principal.data_key, base_url(request)
        data = [
            rendering.whole(each, page.images[each.id], key=key, base_url=root, held=page.held[each.id])
            for each in page.generations
        ]
        return Response({"object": "list", "data": data, "next_cursor": page.next_cursor})

    def post(self, request: Request) -> Response:
        """Accept a generation: 202 with its id, or the problem that kept it from being accepted."""
        return accept(request, request.data)


class GenerationDetail(APIView):
    scopes: ClassVar = {"GET": "generations:read", "DELETE": "generations:write"}

    def delete(self, request: Request, generation_id: UUID) -> Response:
        """Erase its words and images. What is unfinished is canceled first."""
        if not erasure.erase(principal_of(request).tenant_id, generation_id):
            raise _not_found()
        return Response(status=204)

    def get(self, request: Request, generation_id: UUID) -> Response:
        response = _whole(request, generation_id)
        return _held(response, request, generation_id, lambda: _whole(request, generation_id))


class GenerationStatus(APIView):
    """The cheapest question, asked most: one SELECT in one scope, without the ORM's share of the time."""

    scopes: ClassVar = {"GET": "generations:read"}

    def get(self, request: Request, generation_id: UUID) -> Response:
        response = self._status(request, generation_id)
        return _held(response, request, generation_id, lambda: self._status(request, generation_id))

    @staticmethod
    def _status(request: Request, generation_id: UUID) -> Response:
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            found = rows(
                "SELECT status, error_code, error_detail FROM generation_generation "
                "WHERE tenant_id = %s AND id = %s AND erased_at IS NULL",
                [tenant_id, generation_id],
            )
        if not found:
            raise _not_found()
        ((status, error_code, error_detail),) = found
        done = _progress(generation_id, status)
        place = _place(tenant_id, generation_id, status, done)
        return Response(
            {
                "task_id": str(generation_id),
                "status": status,
                "progress": done,
                "queue_position": place.queue_position,
                "eta_seconds": place.eta_seconds,
                "error": rendering.error(error_code, error_detail),
            }
        )


class ImageFile(BaseRenderer):
    """Lets `Accept: image/*` choose the file instead of JSON."""

    media_type = "image/*"
    format = "image"
    charset = None
    render_style = "binary"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return data if isinstance(data, bytes) else JSONRenderer().render(data)


class GenerationResult(APIView):
    """The pictures: addresses as JSON, or the file itself for `Accept: image/*` (`?index=` picks one)."""

    scopes: ClassVar = {"GET": "generations:read"}
    renderer_classes = [JSONRenderer, ImageFile]

    def get(self, request: Request, generation_id: UUID) -> Response:
        response = self._result(request, generation_id)
        return _held(response, request, generation_id, lambda: self._result(request, generation_id))

    @staticmethod
    def _result(request: Request, generation_id: UUID) -> Response:
        generation, images, _ = _load(principal_of(request), generation_id)
        body = rendering.result(generation, images, base_url=base_url(request))
        if generation.status in rendering.UNFINISHED:
            return Response(body, status=202, headers={"Retry-After": POLL_SECONDS}, content_type="application/json")
        if not isinstance(request.accepted_renderer, ImageFile):
            return Response(body)
        image = _picked(images, request.query_params.get("index", "0"))
        return Response(media.fetch(image), content_type=image.content_type)


def _held(response: Response, request: Request, generation_id: UUID, again: Callable[[], Response]) -> Response:
    """The response as it is, or held for its better successor where the client prefers to wait."""

    def finished() -> Response | None:
        response = again()
        return None if _unfinished(response) else response

    return waiting.hold(response, request, generation_id, finished) if _unfinished(response) else response


def _unfinished(response: Response) -> bool:
    return isinstance(response.data, dict) and response.data["status"] in rendering.UNFINISHED


def _whole(request: Request, generation_id: UUID) -> Response:
    principal = principal_of(request)
    generation, images, held = _load(principal, generation_id)
    body = rendering.whole(generation, images, key=principal.data_key, base_url=base_url(request), held=held)
    return Response(body)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a request became: a generation, with its images where they are there at once, and those that wait for
    staff. `replayed`: it was made before. `kept`: the caller named it, and can ask for it by that name again."""

    generation: Generation
    images: list[Image]
    held: list[Image]
    replayed: bool
    kept: bool


def accept(request: Request, asked: Any) -> Response:
    """Submit the fields of a generation for whoever calls: 202 with its id, or 200 with the pictures at once."""
    principal, taken = principal_of(request), take(request, asked)
    generation = taken.generation
    body = rendering.whole(
        generation, taken.images, key=principal.data_key, base_url=base_url(request), held=taken.held
    )
    headers = {"Location": body["links"]["self"], **(REPLAYED if taken.replayed else {})}
    response = Response(body, status=_status_code(generation), headers=headers)
    return _held(response, request, generation.id, lambda: _whole(request, generation.id))


def take(request: Request, asked: Any, *, body: Any = None) -> Taken:
    """Submit the fields of a generation, whatever the answer will look like. `body` is what an idempotency key stands
    for, where that is not the request's own."""
    principal = principal_of(request)
    form = GenerationRequest(data=asked)
    form.is_valid(raise_exception=True)
    idempotency = IdempotencyKey.read(
        request.headers.get("Idempotency-Key"),
        method="POST", path=request.path, body=request.data if body is None else body, key=principal.data_key,
    )  # fmt: skip
    kept = idempotency is not None
    if idempotency is not None and principal.test_mode:
        idempotency = idempotency.of_a_test()
    try:
        accepted = submission.submit(
            form.validated_data, principal=principal, request_id=current_request_id(), idempotency=idempotency
        )
    except Replayed as replay:
        generation, images, held = _load(principal, replay.generation_id)
        if (refused := refusals.problem(generation)) is not None:
            refused.headers.update(REPLAYED)
            raise refused from None
        return Taken(generation, images, held, replayed=True, kept=kept)
    return Taken(accepted.generation, accepted.images, [], replayed=False, kept=kept)


def base_url(request: Request) -> str:
    """Where the caller reaches us: the public address if one is set, or else the host they used."""
    return str(settings.BASE_URL).rstrip("/") or f"{request.scheme}://{request.get_host()}"


def load(principal: Principal, generation_id: UUID) -> tuple[Generation, list[Image]]:
    """One of the caller's, with the images that may be seen. Problem not_found."""
    generation, images, _ = _load(principal, generation_id)
    return generation, images


def _load(principal: Principal, generation_id: UUID) -> tuple[Generation, list[Image], list[Image]]:
    """A generation, its released images, and those that wait for staff."""
    with tenant_scope(principal.tenant_id):
        generation = Generation.objects.select_related("model").filter(id=generation_id, erased_at=None).first()
        if generation is None:
            raise _not_found()
        if generation.status in rendering.UNFINISHED:
            return generation, [], []
        images = list(Image.objects.filter(generation_id=generation_id, rejected_at=None).order_by("index"))
    return (
        generation,
        [image for image in images if image.released_at is not None],
        [image for image in images if image.released_at is None],
    )


def _picked(images: list[Image], index: str) -> Image:
    found = next((image for image in images if str(image.index) == index), None)
    if found is None:
        raise Problem("not_found", "This generation has no such image.")
    return found


def _place(tenant_id: UUID, generation_id: UUID, status: str, done: float) -> position.Place:
    if status not in rendering.UNFINISHED:
        return position.Place()
    with tenant_scope(tenant_id):
        return position.of(tenant_id, generation_id, progress=done)


def _progress(generation_id: UUID, status: str) -> float:
    if status == Generation.Status.RUNNING:
        return progress.of(generation_id) or 0.0
    return 0.0 if status == Generation.Status.QUEUED else 1.0


def _status_code(generation: Generation) -> int:
    return 202 if generation.status in rendering.UNFINISHED else 200


def _not_found() -> Problem:
    return Problem("not_found", "There is no such generation.")
