"""Fair queueing: each tenant's waiting work in a pool is a flow with a virtual time (start-time fair queueing,
Goyal, Vin and Cheng 1996). Whoever is served pays work / weight in virtual time; the lowest is served next.

All functions run inside the caller's transaction, after it has locked the generation (lock order: generation →
wallet → flow).
"""

from functools import partial
from typing import Final
from uuid import UUID

from billing.plans import Limits
from easel.database import changed, on_commit, rows
from easel.identifiers import new_id
from generation import bell

# A flow that becomes backlogged starts at the pool's virtual time: idleness earns nothing.
_ENQUEUE: Final = """
INSERT INTO generation_flow AS flow (id, tenant_id, pool_id, vtime, weight, queued, running, cap)
SELECT %(id)s, %(tenant)s, pool.id, pool.vtime, %(weight)s, 1, 0, %(cap)s FROM generation_pool pool WHERE id = %(pool)s
ON CONFLICT (tenant_id, pool_id) DO UPDATE SET
    queued = flow.queued + 1, weight = EXCLUDED.weight, cap = EXCLUDED.cap,
    vtime = CASE WHEN flow.queued = 0 THEN greatest(flow.vtime, EXCLUDED.vtime) ELSE flow.vtime END
RETURNING queued + (
    SELECT coalesce(sum(queued), 0) FROM generation_flow other WHERE tenant_id = %(tenant)s AND pool_id <> %(pool)s
)
"""

_LIMITS: Final = """
UPDATE generation_flow flow SET weight = %(weight)s, cap = %(cap)s FROM generation_pool pool
WHERE tenant_id = %(tenant)s AND pool.id = pool_id RETURNING pool.name, flow.queued > 0
"""

_ENDED: Final = """
UPDATE generation_flow SET running = running - 1, vtime = vtime + %(correction)s / weight
WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s
RETURNING queued > 0 AND running + 1 >= cap
"""

_WITHDRAWN: Final = """
UPDATE generation_flow SET queued = queued - 1 WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s
"""

_GIVEN_BACK: Final = """
UPDATE generation_flow SET running = running - 1, queued = queued + 1, vtime = vtime - %(work)s / weight
WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s
"""


def enqueue(tenant_id: UUID, pool_id: UUID, pool: str, *, weight: float = 1.0, cap: int = 4) -> int:
    """One more job waits; a worker hears of it when the transaction commits. Returns how many of the tenant's wait now,
    in all pools: exactly, since the wallet's lock, taken before, lets one submission of a tenant through at a time."""
    parameters = {"id": new_id(), "tenant": tenant_id, "pool": pool_id, "weight": weight, "cap": cap}
    ((waiting,),) = rows(_ENQUEUE, parameters)
    on_commit(lambda: bell.ring(pool))
    return int(waiting)


def apply_limits(tenant_id: UUID, limits: Limits) -> None:
    """A changed plan counts at once for what already waits."""
    parameters = {"tenant": tenant_id, "weight": limits.queue_weight, "cap": limits.running_jobs}
    for pool, waiting in rows(_LIMITS, parameters):
        if waiting:
            on_commit(partial(bell.ring, pool))


def ended(tenant_id: UUID, pool_id: UUID, pool: str, *, estimated: float, actual: float) -> None:
    """A running job ended. Its flow pays for what the job took instead of what was estimated; where the ending lifts
    the flow off its cap, the bell rings."""
    parameters = {"tenant": tenant_id, "pool": pool_id, "correction": actual - estimated}
    freed = rows(_ENDED, parameters)
    if freed and freed[0][0]:
        on_commit(lambda: bell.ring(pool))


def withdrawn(tenant_id: UUID, pool_id: UUID) -> None:
    """A waiting job ended without having been claimed. It had paid nothing."""
    changed(_WITHDRAWN, {"tenant": tenant_id, "pool": pool_id})


def given_back(tenant_id: UUID, pool_id: UUID, pool: str, *, work: float) -> None:
    """A running job waits again, and what its flow paid for it is returned."""
    changed(_GIVEN_BACK, {"tenant": tenant_id, "pool": pool_id, "work": work})
    on_commit(lambda: bell.ring(pool))
