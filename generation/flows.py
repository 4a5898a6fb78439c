"""Fair queueing: each tenant's waiting work in a pool is a flow with a virtual time (start-time fair queueing,
Goyal, Vin and Cheng 1996). Whoever is served pays work / weight in virtual time; the lowest is served next.

All functions run inside the caller's transaction, after it has locked the generation (lock order: generation →
wallet → flow). That it has changed a row by then is more than order: its transaction has an id before the pool's
virtual time is read here, which the search for the next turn relies on.
"""

from functools import partial
from typing import Any, Final
from uuid import UUID

from billing.plans import Limits
from easel.database import Question, changed, on_commit, rows
from easel.identifiers import new_id
from generation import bell

# The pool's virtual time, as of this statement (`turns` says why it is kept so).
_V: Final = """coalesce((
    SELECT time.vtime FROM generation_pooltime time WHERE time.pool_id = %(pool)s ORDER BY time.id DESC LIMIT 1
), 0)"""

# Of a tenant's: what waits for the drawing of an equal one stands in no flow, and waits all the same.
_FOLLOWING: Final = """(
    SELECT count(*) FROM generation_generation
    WHERE tenant_id = %(tenant)s AND draws_with IS NOT NULL AND status = 'queued'
)"""

# A flow that becomes ready starts at the pool's virtual time at the least: neither idleness nor being at its cap earns
# anything.
_ENQUEUE: Final = f"""
INSERT INTO generation_flow AS flow
    (id, tenant_id, pool_id, vtime, weight, queued, running, cap, owed, waiting_work, served_work)
VALUES (%(id)s, %(tenant)s, %(pool)s, {_V}, %(weight)s, 1, 0, %(cap)s, 0, %(work)s, 0)
ON CONFLICT (tenant_id, pool_id) DO UPDATE SET
    queued = flow.queued + 1, weight = EXCLUDED.weight, cap = EXCLUDED.cap,
    waiting_work = flow.waiting_work + EXCLUDED.waiting_work,
    vtime = CASE WHEN flow.ready THEN flow.vtime ELSE greatest(flow.vtime, EXCLUDED.vtime) END,
    owed = CASE WHEN flow.queued = 0 AND flow.running = 0 THEN 0 ELSE flow.owed END
RETURNING queued + (
    SELECT coalesce(sum(queued), 0) FROM generation_flow other WHERE tenant_id = %(tenant)s AND pool_id <> %(pool)s
) + {_FOLLOWING}
"""  # noqa: S608  no value is put in

_WAITING: Final = f"""
SELECT coalesce(sum(queued), 0) + {_FOLLOWING} FROM generation_flow WHERE tenant_id = %(tenant)s
"""  # noqa: S608  no value is put in

_LIMITS: Final = f"""
UPDATE generation_flow flow SET weight = %(weight)s, cap = %(cap)s,
    vtime = CASE WHEN flow.ready THEN flow.vtime ELSE greatest(flow.vtime, {_V}) END
FROM generation_pool pool
WHERE tenant_id = %(tenant)s AND pool.id = pool_id AND pool_id = %(pool)s RETURNING pool.name, flow.queued > 0
"""  # noqa: S608  no value is put in

# What a flow paid too much is given back as far as the pool's time, where its turn comes next; the rest is owed, and
# spares it paying for what it has claimed later.
_CORRECTED: Final = f"""
    vtime = greatest(vtime + %(correction)s / weight, {_V}),
    owed = owed + least(0, greatest(%(correction)s, vtime * weight + %(correction)s - {_V} * weight))
"""

_ENDED: Final = f"""
UPDATE generation_flow SET running = running - 1, served_work = served_work + %(actual)s, {_CORRECTED}
WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s
RETURNING queued > 0 AND running + 1 >= cap
"""  # noqa: S608  no value is put in

_WITHDRAWN: Final = """
UPDATE generation_flow SET queued = queued - 1, waiting_work = greatest(0, waiting_work - %(work)s)
WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s
"""

_REPLANNED: Final = """
UPDATE generation_flow SET waiting_work = greatest(0, waiting_work + %(change)s)
WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s
"""

_GIVEN_BACK: Final = f"""
UPDATE generation_flow SET running = running - 1, queued = queued + 1,
    waiting_work = waiting_work - %(correction)s, {_CORRECTED}
WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s
"""  # noqa: S608  no value is put in


def enqueue(tenant_id: UUID, pool_id: UUID, pool: str, *, work: float, weight: float = 1.0, cap: int = 4) -> int:
    """One more job waits; a worker hears of it when the transaction commits. Returns how many of the tenant's wait now,
    in all pools: exactly, since the wallet's lock, taken before, lets one submission of a tenant through at a time."""
    return enqueueing(tenant_id, pool_id, pool, work=work, weight=weight, cap=cap).ask()


def enqueueing(tenant_id: UUID, pool_id: UUID, pool: str, *, work: float, weight: float, cap: int) -> Question[int]:
    """The same, to be asked with others, after what takes the wallet's lock."""
    parameters = {"id": new_id(), "tenant": tenant_id, "pool": pool_id, "weight": weight, "cap": cap, "work": work}

    def read(found: list[tuple[Any, ...]]) -> int:
        ((waiting,),) = found
        on_commit(lambda: bell.ring(pool))
        return int(waiting)

    return Question(_ENQUEUE, parameters, read)


def waiting(tenant_id: UUID) -> Question[int]:
    """The same count alone, for one that follows another's drawing; its row is written already."""
    return Question(_WAITING, {"tenant": tenant_id}, lambda found: int(found[0][0]))


def apply_limits(tenant_id: UUID, limits: Limits) -> None:
    """A changed plan counts at once for what already waits."""
    rows("SELECT pg_current_xact_id()")  # an id before the pool's time is read: this may be the first to be changed
    for (pool_id,) in rows("SELECT pool_id FROM generation_flow WHERE tenant_id = %s", [tenant_id]):
        parameters = {
            "tenant": tenant_id, "pool": pool_id, "weight": limits.queue_weight, "cap": limits.running_jobs,
        }  # fmt: skip
        for pool, waiting in rows(_LIMITS, parameters):
            if waiting:
                on_commit(partial(bell.ring, pool))


def ended(tenant_id: UUID, pool_id: UUID, pool: str, *, estimated: float, actual: float) -> None:
    """A running job ended. Its flow pays for what the job took instead of what was estimated; where the ending lifts
    the flow off its cap, the bell rings."""
    parameters = {"tenant": tenant_id, "pool": pool_id, "correction": actual - estimated, "actual": actual}
    freed = rows(_ENDED, parameters)
    if freed and freed[0][0]:
        on_commit(lambda: bell.ring(pool))


def withdrawn(tenant_id: UUID, pool_id: UUID, *, work: float) -> None:
    """A waiting job ended without having been claimed. It had paid nothing."""
    changed(_WITHDRAWN, {"tenant": tenant_id, "pool": pool_id, "work": work})


def replanned(tenant_id: UUID, pool_id: UUID, *, change: float) -> None:
    """A waiting job is to take that much more work, or less."""
    changed(_REPLANNED, {"tenant": tenant_id, "pool": pool_id, "change": change})


def given_back(tenant_id: UUID, pool_id: UUID, pool: str, *, work: float) -> None:
    """A running job waits again, and what its flow paid for it is returned."""
    changed(_GIVEN_BACK, {"tenant": tenant_id, "pool": pool_id, "correction": -work})
    on_commit(lambda: bell.ring(pool))
