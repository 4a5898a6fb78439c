"""What is told of a generation while it lives: `status`, `progress`, `preview` and at its end `done`.

Live to whoever listens (`easel.feed`), and at an ending also as rows for webhooks. Whoever changes a generation's
status calls `status_changed` in the same transaction.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from easel import feed
from easel.database import connection, on_commit, planned, rows
from easel.feed import Kept
from tenants import webhooks

KEPT: Final[Mapping[str, Kept]] = {
    "status": Kept.BOTH,
    "done": Kept.BOTH,
    "preview": Kept.SUBJECT,
    "progress": Kept.NOWHERE,
}
ORIGIN: Final = "compat"  # the entry of a generation's metadata that says in which other API it was asked for
UNFINISHED: Final = frozenset({"queued", "running"})
WEBHOOKS: Final = {
    "completed": "generation.completed",
    "failed": "generation.failed",
    "canceled": "generation.canceled",
    "rejected": "generation.rejected",
    "in_review": "generation.in_review",
}

_ENDED: Final = """
SELECT g.webhook_url, g.status, m.name, g.n, g.credits, g.metadata, g.error_code, g.error_detail, g.created_at,
    g.finished_at, g.request_id
FROM generation_generation g JOIN generation_model m ON m.id = g.model_id WHERE g.tenant_id = %s AND g.id = %s
"""
_METADATA: Final = "SELECT metadata FROM generation_generation WHERE tenant_id = %s AND id = %s"
_RELEASED: Final = """
SELECT id FROM generation_image WHERE tenant_id = %s AND generation_id = %s AND released_at IS NOT NULL ORDER BY index
"""


@dataclass(frozen=True, slots=True)
class Teller:
    """How another API's webhook tells of these endings, to the address that its request named."""

    kind: str
    statuses: frozenset[str]
    payload: Callable[[UUID], Mapping[str, Any]]


_tellers: dict[str, Teller] = {}


def tell_as(origin: str, teller: Teller) -> None:
    _tellers[origin] = teller


def publish(generation_id: UUID, kind: str, data: Mapping[str, Any], *, tenant_id: UUID) -> None:
    """Tell the listeners, once the current transaction (if there is one) is committed.

    `data` of a `preview`: index, step, steps, content_type, image (base64). Of `progress`: progress (0 to 1).
    """
    seconds = feed.KEEP_ENDED_SECONDS if kind == "done" else feed.KEEP_SECONDS
    send = partial(feed.publish, tenant_id, generation_id, kind, dict(data), kept=KEPT[kind], seconds=seconds)
    if connection().in_atomic_block:
        on_commit(send)
    else:
        send()


def status_changed(tenant_id: UUID, generation_id: UUID, status: str, *, webhook: str | None = None) -> None:
    """Call it in the transaction that changed the status, after the row (and its images) say so.

    `webhook` names another event than the status's own, such as `generation.released`.
    """
    kind = "status" if status in UNFINISHED else "done"
    publish(generation_id, kind, {"status": status}, tenant_id=tenant_id)
    event = webhook or WEBHOOKS.get(status)
    if event is not None:
        tell(tenant_id, generation_id, event)


def completed_at_once(tenant_id: UUID, generation_id: UUID, *, url: str, listeners: Sequence[UUID]) -> None:
    """`status_changed` of one that is complete when it is made. `listeners` are those of its webhook event, asked for
    along with what makes it."""
    publish(generation_id, "done", {"status": "completed"}, tenant_id=tenant_id)
    if url or listeners:
        tell(tenant_id, generation_id, WEBHOOKS["completed"])


def tell(tenant_id: UUID, generation_id: UUID, event: str) -> None:
    """Note an event for webhooks, in the transaction that makes it true."""
    for url, *row in planned(_ENDED, [tenant_id, generation_id]):
        payload = partial(_payload, tenant_id, generation_id, row)
        status, metadata = row[0], json.loads(row[4])
        told = _tellers.get(metadata.get(ORIGIN, "")) if url else None
        webhooks.emit(tenant_id, event, payload, subject=generation_id, url="" if told else url)
        if told is not None and status in told.statuses:
            webhooks.emit_to(tenant_id, url, told.kind, told.payload(generation_id), subject=generation_id)


def tell_beside(tenant_id: UUID, generation_id: UUID, event: str, payload: Mapping[str, Any]) -> None:
    """The same for an event about a generation that has data of its own. A dialect's addresses do not hear of it."""
    for url, *row in rows(_ENDED, [tenant_id, generation_id]):
        dialect = json.loads(row[4]).get(ORIGIN, "") in _tellers
        webhooks.emit(tenant_id, event, payload, subject=generation_id, url="" if dialect else url)


def _payload(tenant_id: UUID, generation_id: UUID, row: list[Any]) -> dict[str, Any]:
    """What a webhook says of a generation, `with_metadata` aside. No prompt and no address of a picture: those are
    fetched by its id."""
    status, model, n, credits_, _, error_code, error_detail, created_at, finished_at, request_id = row
    images = rows(_RELEASED, [tenant_id, generation_id])
    return {
        "object": "generation",
        "id": str(generation_id),
        "task_id": str(generation_id),
        "status": status,
        "model": model,
        "n": n,
        "images": [str(image_id) for (image_id,) in images],
        "credits": credits_,
        "error": {"code": error_code, "detail": error_detail} if error_code else None,
        "created_at": created_at.isoformat().replace("+00:00", "Z"),
        "finished_at": finished_at.isoformat().replace("+00:00", "Z") if finished_at else None,
        "request_id": request_id,
    }


def with_metadata(tenant_id: UUID, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What its customer attached, as it stands: nothing once the generation is erased. Under the platform role."""
    found = rows(_METADATA, [tenant_id, UUID(payload["id"])])
    return {**payload, "metadata": json.loads(found[0][0]) if found else {}}


def register() -> None:
    about = [kind for kind in webhooks.KINDS if kind.startswith("generation.")]
    webhooks.complete_when_told(about, with_metadata)
