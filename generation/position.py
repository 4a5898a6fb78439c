"""Where a waiting generation stands, by the rule that claims follow: how many would be claimed before it if nothing
else came, and how long that takes at the speed the pool had lately.

A job's start tag is its flow's virtual time when its turn comes: the flow's own, and what its elder siblings will pay.
Of another flow, as many go before it as have smaller tags; each is taken to be of that flow's average work. A flow at
its cap is counted as if it were not.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from easel.database import rows

_OWN: Final = """
SELECT g.draws_with, g.status, g.pool_id, g.work, pool.work_per_second,
    CASE WHEN g.status = 'running' THEN extract(epoch FROM now() - g.started_at)::float END,
    coalesce(elder.jobs, 0), coalesce(elder.work, 0),
    greatest(flow.vtime, coalesce(now.vtime, 0)) + greatest(0, coalesce(elder.work, 0) + flow.owed) / flow.weight
FROM generation_generation g
JOIN generation_pool pool ON pool.id = g.pool_id
JOIN generation_flow flow ON flow.tenant_id = g.tenant_id AND flow.pool_id = g.pool_id
LEFT JOIN LATERAL (
    SELECT vtime FROM generation_pooltime WHERE pool_id = g.pool_id ORDER BY id DESC LIMIT 1
) now ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS jobs, sum(o.work) AS work FROM generation_generation o
    WHERE g.status = 'queued' AND o.tenant_id = g.tenant_id AND o.pool_id = g.pool_id
        AND o.status = 'queued' AND o.draws_with IS NULL
        AND (o.priority > g.priority OR (o.priority = g.priority AND o.id < g.id))
) elder ON true
WHERE g.tenant_id = %(tenant)s AND g.id = %(id)s
"""

_OTHERS: Final = "SELECT jobs, work, running_jobs, running_work FROM queue_ahead(%s, %s, %s)"


@dataclass(frozen=True, slots=True)
class Place:
    """`queue_position` is 1 for the next one to be claimed, None for what does not wait. `eta_seconds` until its
    ending, None where the pool was not measured yet."""

    queue_position: int | None = None
    eta_seconds: float | None = None


def of(tenant_id: UUID, generation_id: UUID, *, progress: float = 0.0) -> Place:
    """In the tenant's scope. `progress` (0 to 1) is that of a running one."""
    found = rows(_OWN, {"tenant": tenant_id, "id": generation_id})
    if not found:
        return Place()
    ((leader, status, pool_id, work, speed, running_seconds, elder_jobs, elder_work, tag),) = found
    if leader is not None and status == "queued":  # it gets what another one draws
        return of(tenant_id, leader, progress=progress)
    if status == "running":
        remaining = running_seconds * (1 - progress) / progress if progress > 0 else None
        return Place(eta_seconds=None if remaining is None else round(remaining, 1))
    if status != "queued":
        return Place()
    ((jobs, others_work, running_jobs, running_work),) = rows(_OTHERS, [pool_id, tenant_id, tag])
    position = 1 + int(elder_jobs) + int(jobs)
    if not speed:
        return Place(queue_position=position)
    # What is being drawn is half done on average; the own job shares the device with as many as run now.
    waiting = (others_work + elder_work + running_work / 2) / speed
    drawing = work * max(1, running_jobs) / speed
    return Place(queue_position=position, eta_seconds=round(float(waiting + drawing), 1))
