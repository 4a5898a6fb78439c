"""What the clock does for generations: ring again, take back what dead workers held, remove what nobody owns."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError
from prometheus_client import Gauge
from structlog.contextvars import bound_contextvars

from billing import reconciliation
from billing.ledger import AlreadySettled
from easel import metrics
from easel.clock import duty, work_off
from easel.database import atomic, changed, rows
from easel.storage import StorageRefused, StorageUnavailable, storage
from generation import bell, endings, events, flows, rerouting, sharing, thumbnails
from generation.endings import Ending
from generation.steadiness import Steadiness

log = structlog.get_logger(__name__)

BATCH: Final = 200
INTENT_SECONDS: Final = 3600  # far beyond any upload
IDEMPOTENCY_HOURS: Final = 24
DELETIONS_AT_ONCE: Final = 8
DOOMED_OBJECTS: Final = Gauge("easel_doomed_objects", "Objects that no row refers to, still to be deleted.")

_EXPIRED_LEASES: Final = """
SELECT g.id, g.tenant_id, g.pool_id, p.name, g.request_id FROM generation_generation g
JOIN generation_pool p ON p.id = g.pool_id WHERE g.status = 'running' AND g.lease_expires_at < now() LIMIT %s
"""

# A lost worker's job waits again, unless its customer canceled it meanwhile or it has lost its last worker.
_TAKE_BACK: Final = """
UPDATE generation_generation SET
    status = CASE WHEN cancel_requested_at IS NOT NULL THEN 'canceled' WHEN attempts >= %(most)s THEN 'failed'
        ELSE 'queued' END,
    error_code = CASE WHEN cancel_requested_at IS NULL AND attempts >= %(most)s THEN 'attempts_exhausted' ELSE '' END,
    error_detail = CASE WHEN cancel_requested_at IS NULL AND attempts >= %(most)s
        THEN 'The worker was lost in each of ' || attempts || ' attempts.' ELSE '' END,
    credits = CASE WHEN cancel_requested_at IS NOT NULL OR attempts >= %(most)s THEN 0 END,
    finished_at = CASE WHEN cancel_requested_at IS NOT NULL OR attempts >= %(most)s THEN now() END,
    started_at = NULL, lease_id = NULL, lease_expires_at = NULL
WHERE id = %(id)s AND status = 'running' AND lease_expires_at < now()
RETURNING status, work, error_code
"""


# A job's images are adopted together, at its end: the first may have waited long for the last. The lease is in the key.
_STALE_INTENTS: Final = """
WITH stale AS (
    DELETE FROM generation_objectintent intent WHERE created_at < now() - make_interval(secs => %s) AND NOT EXISTS (
        SELECT 1 FROM generation_generation g WHERE g.status = 'running'
            AND g.lease_id = substring(intent.object_key FROM '/([0-9a-f-]{36})-[0-9]+[.]')::uuid)
    RETURNING id, tenant_id, object_key
)
INSERT INTO generation_doomedobject (id, tenant_id, object_key) SELECT id, tenant_id, object_key FROM stale
ON CONFLICT DO NOTHING
"""

# What only this app knows of money: which of its jobs are over.
reconciliation.add(
    "finished_generations_hold_nothing",
    """
    SELECT hold.tenant_id, 'hold of ' || owner_id, remaining || ' held, ' || generation.status, 'ended'
    FROM billing_hold hold JOIN generation_generation generation ON generation.id = hold.owner_id
    WHERE hold.ended_at IS NULL AND generation.status NOT IN ('queued', 'running')""",
)
reconciliation.add(
    "unfinished_generations_hold_their_quote",
    """
    SELECT generation.tenant_id, 'generation ' || generation.id, 'no open hold', quote::text
    FROM generation_generation generation LEFT JOIN billing_hold hold
        ON hold.tenant_id = generation.tenant_id AND hold.owner_id = generation.id AND hold.ended_at IS NULL
    WHERE generation.status IN ('queued', 'running') AND generation.quote > 0 AND hold.id IS NULL""",
)


@duty("ring_ready_pools", every=2.0)
def ring_ready_pools() -> int:
    """A bell may be lost; ready work is not. Rings once for each pool that has some."""
    ready = rows("SELECT name FROM generation_pool p WHERE EXISTS (SELECT 1 FROM generation_flow f "
                 "WHERE f.pool_id = p.id AND f.ready)")  # fmt: skip
    for (pool,) in ready:
        bell.ring(pool)
    return len(ready)


@duty("forget_pool_times", every=10.0)
def forget_pool_times() -> int:
    """Only the newest row of a pool's time counts; a few are left for whoever reads at this moment."""
    return changed(
        "DELETE FROM generation_pooltime old USING generation_pool pool WHERE old.pool_id = pool.id AND old.id < "
        "(SELECT max(id) - 100 FROM generation_pooltime newest WHERE newest.pool_id = pool.id)"
    )


_steadiness = Steadiness()


@duty("take_back_expired_leases", every=2.0)
def take_back_expired_leases() -> int:
    """Jobs of workers that stopped renewing wait again, or fail after the last attempt. After Postgres was away, or its
    clock has jumped, nothing is taken back for one lease length."""
    ((now, up),) = rows("SELECT extract(epoch FROM clock_timestamp())::float, "
                        "extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float")  # fmt: skip
    if not _steadiness.settled(database_now=now, up_seconds=up, lease_seconds=settings.LEASE_SECONDS):
        return 0
    return work_off(lambda: rows(_EXPIRED_LEASES, [BATCH]), lambda expired: _taken_back(*expired))


@duty("remove_leftover_objects", every=60.0)
def remove_leftover_objects() -> int:
    """Objects that were put but never adopted, and objects that lost their last reference; with their thumbnails."""
    with atomic():
        changed(_STALE_INTENTS, [INTENT_SECONDS])
    # An answer from the cache may have taken an object up again: it goes with its last reference.
    changed(
        "DELETE FROM generation_doomedobject d USING generation_image i "
        "WHERE i.object_key = d.object_key AND i.tenant_id = d.tenant_id"
    )
    ((begun,),) = rows("SELECT now()")
    with ThreadPoolExecutor(DELETIONS_AT_ONCE) as threads:
        removed = work_off(lambda: _doomed(begun), lambda batch: _remove(batch, threads))
    DOOMED_OBJECTS.set(float(rows("SELECT count(*) FROM generation_doomedobject")[0][0]))
    return removed


@duty("reroute_waiting_jobs", every=5.0)
def reroute_waiting_jobs() -> int:
    """Jobs that have waited long enough for a model that fails go to its fallback."""
    return rerouting.reroute_waiting()


@duty("serve_left_followers", every=5.0)
def serve_left_followers() -> int:
    """Requests that waited for an equal one's drawing, and were left behind when it ended."""
    return sharing.serve_left()


@duty("forget_idempotency_keys", every=600.0)
def forget_idempotency_keys() -> int:
    return changed(
        "DELETE FROM generation_idempotencyrecord WHERE created_at < now() - make_interval(hours => %s)",
        [IDEMPOTENCY_HOURS],
    )


def _doomed(before: datetime) -> list[list[tuple[UUID, str]]]:
    """The next batch, the oldest first."""
    found = rows(
        "SELECT id, object_key FROM generation_doomedobject WHERE created_at <= %s ORDER BY created_at LIMIT %s",
        [before, BATCH],
    )
    return [[(row_id, object_key) for row_id, object_key in found]] if found else []


def _remove(batch: list[tuple[UUID, str]], threads: ThreadPoolExecutor) -> int:
    """How many of them are gone. What the store refuses goes to the end of the line, behind what it may not refuse."""
    outcomes = list(threads.map(_delete, [object_key for _, object_key in batch]))
    each = [(row_id, outcome) for (row_id, _), outcome in zip(batch, outcomes, strict=True)]
    refused = [row_id for row_id, outcome in each if outcome == "refused"]
    if refused:
        changed("UPDATE generation_doomedobject SET created_at = clock_timestamp() WHERE id = ANY(%s)", [refused])
    gone = [row_id for row_id, outcome in each if outcome == "gone"]
    return changed("DELETE FROM generation_doomedobject WHERE id = ANY(%s)", [gone])


def _delete(object_key: str) -> Literal["gone", "refused", "away"]:
    """The object and its thumbnail. In a thread, which has nothing to do with the database."""
    try:
        for key in (object_key, thumbnails.key_of(object_key)):
            storage().delete(key)
    except StorageUnavailable as error:
        log.warning("duties.storage_unavailable", error=str(error))
        return "away"
    except StorageRefused as error:
        log.warning("duties.object_refused", error=str(error))
        return "refused"
    return "gone"


def _taken_back(generation_id: UUID, tenant_id: UUID, pool_id: UUID, pool: str, request_id: str) -> int:
    try:
        with bound_contextvars(request_id=request_id, tenant=str(tenant_id)):
            return _take_back(generation_id, tenant_id, pool_id, pool)
    # A flow that counts wrongly, which its recount will mend, or a hold that is gone must not keep the others.
    except (IntegrityError, AlreadySettled):
        log.exception("duties.not_taken_back", generation=str(generation_id))
        return 0


def _take_back(generation_id: UUID, tenant_id: UUID, pool_id: UUID, pool: str) -> int:
    with atomic():
        taken = rows(_TAKE_BACK, {"id": generation_id, "most": settings.MAX_ATTEMPTS})
        if not taken:  # renewed or ended since we looked
            return 0
        status, work, error_code = taken[0]
        if status == "queued":
            flows.given_back(tenant_id, pool_id, pool, work=work)
            events.status_changed(tenant_id, generation_id, status)
        else:
            endings.follow(
                Ending(
                    generation_id=generation_id, tenant_id=tenant_id, pool_id=pool_id, pool=pool, status=status,
                    work=work, was_running=True, error_code=error_code,
                )
            )  # fmt: skip
    metrics.LEASES_TAKEN_BACK.inc()
    log.warning("duties.lease_expired", generation=str(generation_id), status=status)
    return 1
