"""The clock looks at the queue: how deep and how old it is, how fast it is served, whether flows count right, and by
which limits."""

from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from billing import plans
from easel import metrics
from easel.clock import duty
from easel.database import atomic, changed, rows
from generation import bell, flows, rounds_seen

log = structlog.get_logger(__name__)

SMOOTHING: Final = 0.3  # of the newest measurement in the pool's speed

_DEPTH: Final = """
SELECT pool.name, coalesce(sum(flow.queued), 0), coalesce(sum(flow.running), 0)
FROM generation_pool pool LEFT JOIN generation_flow flow ON flow.pool_id = pool.id GROUP BY pool.name
"""

# The oldest of each tenant's waiting jobs is at one end of an index; ids are ordered by time. Whoever is at its own cap
# waits for itself, however many workers there are.
_OLDEST: Final = """
SELECT pool.name, max(extract(epoch FROM now() - oldest.created_at))::float
FROM generation_flow flow JOIN generation_pool pool ON pool.id = flow.pool_id, LATERAL (
    SELECT created_at FROM generation_generation g WHERE g.tenant_id = flow.tenant_id AND g.pool_id = flow.pool_id
        AND g.status = 'queued' AND g.draws_with IS NULL ORDER BY g.priority DESC, g.id LIMIT 1
) oldest
WHERE flow.ready GROUP BY pool.name
"""

# Only what was served while something waited says how fast a pool is: otherwise it was as fast as it was asked to be.
_SPEED: Final = """
WITH served AS (
    SELECT pool.id, coalesce(sum(flow.served_work), 0) AS work, coalesce(sum(flow.queued), 0) AS waiting
    FROM generation_pool pool LEFT JOIN generation_flow flow ON flow.pool_id = pool.id GROUP BY pool.id
)
UPDATE generation_pool pool SET served_work = served.work, measured_at = now(),
    work_per_second = CASE
        WHEN served.waiting = 0 OR pool.measured_at IS NULL OR served.work <= pool.served_work THEN pool.work_per_second
        ELSE coalesce(pool.work_per_second * (1 - %(smoothing)s), 0) + (served.work - pool.served_work)
            / greatest(0.001, extract(epoch FROM now() - pool.measured_at))
            * CASE WHEN pool.work_per_second IS NULL THEN 1 ELSE %(smoothing)s END
    END
FROM served WHERE served.id = pool.id AND (served.waiting > 0 OR served.work <> pool.served_work)
"""

# One snapshot: every transaction changes rows and flow together, so that what differs here is wrong. So is a ready flow
# below the floor, where no claim looks (`turns`). Who follows another generation (`draws_with`) never was in its flow.
_DRIFT: Final = """
SELECT flow.tenant_id, flow.pool_id, pool.name FROM generation_flow flow
JOIN generation_pool pool ON pool.id = flow.pool_id
LEFT JOIN (
    SELECT tenant_id, pool_id, count(*) FILTER (WHERE status = 'queued') AS queued,
        count(*) FILTER (WHERE status = 'running') AS running
    FROM generation_generation WHERE status IN ('queued', 'running') AND draws_with IS NULL
    GROUP BY tenant_id, pool_id
) counted ON counted.tenant_id = flow.tenant_id AND counted.pool_id = flow.pool_id
LEFT JOIN LATERAL (
    SELECT floor FROM generation_pooltime time WHERE time.pool_id = flow.pool_id ORDER BY time.id DESC LIMIT 1
) now ON true
WHERE flow.queued <> coalesce(counted.queued, 0) OR flow.running <> coalesce(counted.running, 0)
    OR (flow.ready AND flow.vtime < now.floor)
"""

_RECOUNT: Final = """
UPDATE generation_flow flow SET queued = counted.queued, running = counted.running, waiting_work = counted.waiting_work,
    vtime = greatest(flow.vtime, coalesce((
        SELECT time.vtime FROM generation_pooltime time WHERE time.pool_id = flow.pool_id ORDER BY time.id DESC LIMIT 1
    ), 0))
FROM (
    SELECT count(*) FILTER (WHERE status = 'queued') AS queued, count(*) FILTER (WHERE status = 'running') AS running,
        coalesce(sum(work) FILTER (WHERE status = 'queued'), 0) AS waiting_work
    FROM generation_generation WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s
        AND status IN ('queued', 'running') AND draws_with IS NULL
) counted
WHERE flow.tenant_id = %(tenant)s AND flow.pool_id = %(pool)s
"""

# A submission reads its plan's limits first and its flow last: a plan that changed in between left the old ones there.
_OUTDATED: Final = """
SELECT DISTINCT flow.tenant_id FROM generation_flow flow
JOIN billing_subscription subscription ON subscription.tenant_id = flow.tenant_id AND subscription.ended_at IS NULL
JOIN billing_planversion version ON version.id = subscription.version_id
WHERE flow.queued > 0 AND (flow.weight <> version.queue_weight OR flow.cap <> version.running_jobs)
"""


@duty("measure_queue", every=5.0)
def measure_queue() -> int:
    """Depth, age, speed and workers of every pool, as metrics; its speed is also what waiting times are told by."""
    oldest = dict(rows(_OLDEST))
    pools = rows(_DEPTH)
    for pool, queued, running in pools:
        metrics.QUEUE_JOBS.labels(pool, "queued").set(float(queued))
        metrics.QUEUE_JOBS.labels(pool, "running").set(float(running))
        metrics.QUEUE_OLDEST.labels(pool).set(oldest.get(pool, 0.0))
    changed(_SPEED, {"smoothing": SMOOTHING})
    try:
        for pool, workers in rounds_seen.count([pool for pool, _, _ in pools], seconds=settings.LEASE_SECONDS).items():
            metrics.WORKERS.labels(pool).set(workers)
    except (RedisError, OSError) as error:
        log.warning("queue_watch.workers_unknown", error=str(error))
    return 0


@duty("recount_flows", every=60.0)
def recount_flows() -> int:
    """Flows count what waits and runs, and are where claims look for them. Where one is wrong it is mended, and the
    metric says that something is."""
    wrong = rows(_DRIFT)
    metrics.FLOW_DRIFT.set(len(wrong))
    for tenant_id, pool_id, pool in wrong:
        log.error("queue_watch.flow_drift", pool=pool, tenant=str(tenant_id))
        _recount(tenant_id, pool_id)
        bell.ring(pool)
    return len(wrong)


@duty("follow_plans", every=60.0)
def follow_plans() -> int:
    """What waits is served by the limits of the plan that its tenant is on now."""
    outdated = rows(_OUTDATED)
    for (tenant_id,) in outdated:
        with atomic():
            flows.apply_limits(tenant_id, plans.limits_of(tenant_id))
    return len(outdated)


def _recount(tenant_id: UUID, pool_id: UUID) -> None:
    """Under the flow's lock nobody is between a row's change and its flow's: what the next statement counts is true."""
    parameters = {"tenant": tenant_id, "pool": pool_id}
    with atomic():
        rows(
            "SELECT pg_current_xact_id() FROM generation_flow WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s "
            "FOR NO KEY UPDATE",
            parameters,
        )
        changed(_RECOUNT, parameters)
