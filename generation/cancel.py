"""Stopping work on request. What waits is canceled at once and costs nothing. What runs is flagged: its worker hears
of it within a step, stops, and ends it at the price of what was done (docs/billing.md); should the worker be lost
first, whoever takes the job back ends it for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from easel.database import on_commit, rows
from generation import availability, endings, sharing, stop_signs
from generation.endings import Ending
from tenants.scope import tenant_scope

BATCH: Final = 100  # in one transaction: its locks keep the tenant's other work waiting
MOST: Final = 2_000  # in one request

# All of them before the first one ends, which takes the wallet: with that, no row of a generation is waited for. In the
# order of their ids, so that two of these never wait for each other in a circle. A claim or an ending that comes first
# changes the status, which is looked at again once the lock is held.
_LOCK: Final = """
SELECT id FROM generation_generation
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) AND status IN ('queued', 'running') AND erased_at IS NULL
ORDER BY id FOR NO KEY UPDATE
"""

# Some may have ended since they were locked: those that were handed over.
_STOP: Final = """
UPDATE generation_generation AS g SET
    cancel_requested_at = coalesce(cancel_requested_at, now()),
    status = CASE WHEN status = 'queued' THEN 'canceled' ELSE status END,
    credits = CASE WHEN status = 'queued' THEN 0 END,
    finished_at = CASE WHEN status = 'queued' THEN now() END
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) AND status IN ('queued', 'running')
RETURNING g.id, g.pool_id, (SELECT name FROM generation_pool WHERE id = g.pool_id), g.work, g.status,
    g.draws_with IS NULL
"""

# Newest first: what would be claimed next is the least likely to change under our hands.
_FIND: Final = """
SELECT g.id FROM generation_generation g JOIN generation_model m ON m.id = g.model_id
WHERE g.tenant_id = %(tenant)s AND g.status = ANY(%(statuses)s) AND g.erased_at IS NULL
    AND g.cancel_requested_at IS NULL
    AND (%(ids)s::uuid[] IS NULL OR g.id = ANY(%(ids)s::uuid[]))
    AND (%(key)s::uuid IS NULL OR g.key_id = %(key)s)
    AND (%(model)s::text IS NULL OR m.name = %(model)s)
    AND (%(before)s::timestamptz IS NULL OR g.created_at < %(before)s)
    AND (%(metadata)s::jsonb IS NULL OR g.metadata @> %(metadata)s::jsonb)
ORDER BY g.id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which of a tenant's unfinished generations; every condition that is given must hold."""

    ids: Sequence[UUID] | None = None
    key_id: UUID | None = None
    statuses: tuple[str, ...] = ("queued", "running")
    model: str | None = None
    created_before: datetime | None = None
    metadata: str | None = None  # a JSON object that the generation's metadata must contain


@dataclass(frozen=True, slots=True)
class Stopped:
    """`canceled` have ended; `stopping` were being drawn, and end within a step of their worker's."""

    canceled: tuple[UUID, ...] = ()
    stopping: tuple[UUID, ...] = ()
    has_more: bool = False


def cancel(tenant_id: UUID, generation_id: UUID) -> Stopped:
    """Stop one. Empty where there is none that is unfinished."""
    with tenant_scope(tenant_id):
        return stop(tenant_id, [generation_id])


def cancel_many(tenant_id: UUID, chosen: Filter) -> Stopped:
    """Stop at most MOST of those that match, in transactions of BATCH; `has_more` says that others were left."""
    with tenant_scope(tenant_id):
        found = [generation_id for (generation_id,) in rows(_FIND, _conditions(tenant_id, chosen))]
    canceled: list[UUID] = []
    stopping: list[UUID] = []
    for start in range(0, min(len(found), MOST), BATCH):
        with tenant_scope(tenant_id):
            stopped = stop(tenant_id, found[start : min(start + BATCH, MOST)])
        canceled.extend(stopped.canceled)
        stopping.extend(stopped.stopping)
    return Stopped(tuple(canceled), tuple(stopping), has_more=len(found) > MOST)


def stop(tenant_id: UUID, generation_ids: Sequence[UUID]) -> Stopped:
    """Stop these, as part of the caller's transaction in the tenant's scope."""
    unfinished = [each for (each,) in rows(_LOCK, {"tenant": tenant_id, "ids": list(generation_ids)})]
    handed_over = sharing.detach(tenant_id, unfinished)
    ended: list[UUID] = []
    stopping: list[UUID] = []
    stopped = rows(_STOP, {"tenant": tenant_id, "ids": unfinished})
    for generation_id, pool_id, pool, work, status, was_queued in stopped:
        if status == "running":
            stopping.append(generation_id)
            continue
        ended.append(generation_id)
        endings.follow(
            Ending(
                generation_id=generation_id, tenant_id=tenant_id, pool_id=pool_id, pool=pool, status=status,
                work=work, was_running=False, was_queued=was_queued,
            )
        )  # fmt: skip
    if ended:
        on_commit(partial(availability.pass_on, ended))
    if stopping:
        stop_signs.raise_for(stopping)
    return Stopped((*handed_over, *ended), tuple(stopping))


def _conditions(tenant_id: UUID, chosen: Filter) -> dict[str, Any]:
    return {
        "tenant": tenant_id,
        "statuses": list(chosen.statuses),
        "ids": None if chosen.ids is None else list(chosen.ids),
        "key": chosen.key_id,
        "model": chosen.model,
        "before": chosen.created_before,
        "metadata": chosen.metadata,
        "limit": MOST + 1,
    }
