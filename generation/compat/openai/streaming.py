"""`stream: true`: partial pictures as they come, then the whole one, as Server-Sent Events in OpenAI's words."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from easel import dialects, problems, requests
from easel.continuation import EventStream, Visit
from easel.feed import News
from easel.problems import Problem
from generation.api import Taken, load
from generation.compat.holding import Answer, abandonment
from generation.compat.openai.asking import Wish
from generation.streams import HEADERS, standing
from tenants.authentication import principal_of
from tenants.tokens import LIFETIME, Principal


@dataclass(frozen=True, kw_only=True)
class ImageStream(EventStream):
    """`whole` makes the finished answer, in a thread. `told` counts the partial pictures."""

    wish: Wish
    whole: Callable[[], dict[str, Any]]
    abandon: Callable[[], object]
    told: list[int] = field(default_factory=list)

    def greeting(self) -> bytes:
        return b": the picture is being drawn\n\n"  # their client takes a bare `retry` for an event

    async def frames(self, visit: Visit, news: News) -> list[bytes]:
        if news.kind == "preview" and len(self.told) < self.wish.partial_images:
            self.told.append(len(self.told))
            return [self._partial(news.data)]
        if news.kind == self.ends:
            return [await visit.in_thread(self._completed)]
        return []

    def farewell(self, reason: str) -> bytes:
        said = f"The stream ended before the picture was finished ({reason})."
        return _frame("error", dialects.told(Problem("overloaded", said), self.path).body)

    async def unheard(self, visit: Visit) -> None:
        await visit.in_thread(self.abandon)

    def _partial(self, preview: dict[str, Any]) -> bytes:
        kind = f"{self.wish.call}.partial_image"
        return _frame(kind, {
            "type": kind, "b64_json": preview["image"], "partial_image_index": self.told[-1],
            "output_format": preview["content_type"].removeprefix("image/"), **_of_any_picture(),
        })  # fmt: skip

    def _completed(self) -> bytes:
        try:
            answer = self.whole()
        except Exception as error:  # noqa: BLE001  the stream has begun: an error is its last event
            return _frame("error", problems.tell(error, self.path).body)
        kind = f"{self.wish.call}.completed"
        return _frame(kind, {
            **_of_any_picture(), "type": kind, **answer["data"][0], "output_format": answer["output_format"],
            "size": answer["size"], "usage": answer["usage"], "id": answer["id"],
        })  # fmt: skip


def stream(request: Request, taken: Taken, wish: Wish, answer: Answer) -> Response:
    principal, generation_id = principal_of(request), taken.generation.id
    response = Response({"id": str(generation_id)}, headers=HEADERS, content_type="text/event-stream")
    response.continuation = ImageStream(  # type: ignore[attr-defined]  # what easel.bridge looks for
        channel=principal.tenant_id,
        subject=generation_id,
        holder=principal.holder,
        good_until=time.time() + LIFETIME.total_seconds(),
        last_id="",
        snapshot=lambda: standing(principal.tenant_id, generation_id),
        path=request.path,
        wish=wish,
        whole=_whole(principal, generation_id, requests.current_request_id(), answer),
        abandon=abandonment(request, taken),
    )
    return response


def _whole(principal: Principal, generation_id: UUID, request_id: str, answer: Answer) -> Callable[[], dict[str, Any]]:
    def whole() -> dict[str, Any]:
        requests.begin(request_id)
        made: dict[str, Any] = answer(*load(principal, generation_id))
        return made

    return whole


def _of_any_picture() -> dict[str, Any]:
    return {"created_at": int(time.time()), "background": "opaque", "quality": "auto", "size": "auto"}


def _frame(kind: str, data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
