"""Exactly one ending. Whoever ends a generation changes its row by one conditional UPDATE; where that touched the row,
everything that hangs on the ending follows here, in the same transaction: the hold, the flow, what listeners are told.

Lock order: generation → wallet → flow.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

from billing import ledger
from easel import metrics
from easel.database import on_commit
from generation import events, flows, inflight

TEST_POOL: Final = "test"  # of `generation.rehearsal`


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What an ending's UPDATE decided. `drawn` is the work that was really done, of the `work` that was estimated.
    `complete`: all images that were asked for are there."""

    generation_id: UUID
    tenant_id: UUID
    pool_id: UUID
    pool: str
    status: str
    work: float
    was_running: bool
    was_queued: bool = True  # in its flow; one that followed another's drawing never was
    complete: bool = False
    drawn: float = 0.0
    credits: int = 0
    images: int = 0  # that are stored and paid for
    released: int | None = None  # of these; None: all
    error_code: str = ""
    seconds: float | None = None  # since its acceptance

    def priced(self, credits_: int, *, images: int) -> "Ending":
        return replace(self, credits=credits_, images=images)

    def otherwise(self, status: str, *, error_code: str) -> "Ending":
        return replace(self, status=status, error_code=error_code)


def follow(ending: Ending) -> None:
    """All that hangs on an ending. The caller's transaction has just changed the row and adopted its images; what
    fails here undoes that."""
    if ending.pool == TEST_POOL:  # free, and in nobody's queue
        events.status_changed(ending.tenant_id, ending.generation_id, ending.status)
        return
    heir = inflight.ended(ending.tenant_id, ending.generation_id, complete=ending.complete)
    ledger.settle(
        ending.tenant_id, ending.generation_id, charge=ending.credits, status=ending.status, images=ending.images
    )
    if ending.was_running:
        flows.ended(ending.tenant_id, ending.pool_id, ending.pool, estimated=ending.work, actual=ending.drawn)
    elif ending.was_queued:
        flows.withdrawn(ending.tenant_id, ending.pool_id, work=ending.work)
    if heir is not None:
        heir.enqueue()
    events.status_changed(ending.tenant_id, ending.generation_id, ending.status)
    on_commit(partial(_count, ending))


def _count(ending: Ending) -> None:
    metrics.ENDINGS.labels(ending.status, ending.error_code).inc()
    if ending.status in {"completed", "in_review"}:
        metrics.IMAGES_DELIVERED.inc(ending.images if ending.released is None else ending.released)
    if ending.seconds is not None:
        metrics.GENERATION_SECONDS.labels(ending.pool).observe(ending.seconds)
