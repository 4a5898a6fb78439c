"""How the generations of a day went: summed up by the clock, so that a page of charts never reads a hundred thousand
rows. Today's figures are a few minutes old, and say so; what was charged is exact, and stands in `billing.usage`.

Seconds are those from request to ending of what was drawn: answers from the cache and to test keys would only flatter
them.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from easel.clock import duty
from easel.database import atomic, changed, rows
from generation import rehearsal

BACK_DAYS: Final = 35  # summed up by the first run
LATE: Final = timedelta(hours=1)  # what was asked for before midnight may end after it

# Ids are ordered by time: a day is a range of the primary key.
_OF_DAY: Final = """
SELECT g.tenant_id, coalesce(key.public_id, '') AS key, model.name AS model, g.status,
    g.cached_from IS NOT NULL AS cached,
    CASE WHEN g.status = 'completed' AND g.cached_from IS NULL AND pool.name <> %(rehearsal)s
        THEN extract(epoch FROM g.finished_at - g.created_at)::float END AS seconds
FROM generation_generation g JOIN generation_model model ON model.id = g.model_id
JOIN generation_pool pool ON pool.id = g.pool_id
LEFT JOIN tenants_apikey key ON key.tenant_id = g.tenant_id AND key.id = g.key_id
WHERE g.id >= %(first)s AND g.id < %(next)s
"""

_TENANTS: Final = f"""
INSERT INTO generation_dayfigures AS known (id, tenant_id, day, by, name, requests, failed, rejected, canceled, cached,
    p50_seconds, p95_seconds)
SELECT gen_random_uuid(), tenant_id, %(day)s,
    CASE grouping(key, model) WHEN 3 THEN 'all' WHEN 1 THEN 'key' ELSE 'model' END,
    CASE grouping(key, model) WHEN 3 THEN '' WHEN 1 THEN key ELSE model END,
    count(*), count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'rejected'),
    count(*) FILTER (WHERE status = 'canceled'), count(*) FILTER (WHERE cached),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)
FROM ({_OF_DAY}) one
GROUP BY GROUPING SETS ((tenant_id), (tenant_id, key), (tenant_id, model))
ON CONFLICT (tenant_id, day, by, name) DO UPDATE SET requests = excluded.requests, failed = excluded.failed,
    rejected = excluded.rejected, canceled = excluded.canceled, cached = excluded.cached,
    p50_seconds = excluded.p50_seconds, p95_seconds = excluded.p95_seconds
"""  # noqa: S608  our own text


@duty("sum_up_days", every=300.0)
def sum_up_days() -> int:
    """Today's figures anew, yesterday's for another hour, and every day that the clock was away."""
    now = datetime.now(UTC)
    return sum(sum_up(day) for day in due(now))


def sum_up(day: date) -> int:
    """Count one day (UTC). Needs the platform role. Returns how many rows were written."""
    span = {
        "day": day, "first": first_id(day), "next": first_id(day + timedelta(days=1)), "rehearsal": rehearsal.POOL
    }  # fmt: skip
    with atomic():
        return changed(_TENANTS, span)


def first_id(day: date) -> UUID:
    """Not above the id of anything that was made on this day or later, and above all that is older. Ids begin
    in 1970; whoever writes a year of two digits asks for one before."""
    milliseconds = int(datetime.combine(day, time(), UTC).timestamp() * 1000)
    return UUID(int=max(0, milliseconds) << 80)


def due(now: datetime) -> list[date]:
    """The days to count at this moment."""
    ((last,),) = rows("SELECT max(day) FROM generation_dayfigures")
    first = min(last or now.date() - timedelta(days=BACK_DAYS), (now - LATE).date())
    first = max(first, now.date() - timedelta(days=BACK_DAYS))
    return [first + timedelta(days=number) for number in range((now.date() - first).days + 1)]
