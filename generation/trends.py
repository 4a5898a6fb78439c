"""How each version of a model did, day by day: quality and times, read from the rows, so that it is there without
Prometheus and without Elasticsearch."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from easel.database import atomic, rows

DAYS: Final = (7, 14, 30, 90)
PATIENCE_MILLISECONDS: Final = 15_000  # a page must not keep the database busy

# The id is the time of acceptance (UUIDv7), so the primary key finds the days' rows.
_TRENDS: Final = """
SELECT (g.finished_at AT TIME ZONE 'UTC')::date AS day, m.name, coalesce(left(g.model_version, 12), ''),
    count(*), count(*) FILTER (WHERE g.status = 'failed'),
    avg(i.quality_score)::float,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY (g.timings->>'drawing_seconds')::float),
    percentile_cont(0.95) WITHIN GROUP (ORDER BY (g.timings->>'drawing_seconds')::float),
    percentile_cont(0.95) WITHIN GROUP (ORDER BY (g.timings->>'queued_seconds')::float)
FROM generation_generation g
JOIN generation_model m ON m.id = g.model_id
LEFT JOIN LATERAL (
    SELECT avg(quality_score) AS quality_score FROM generation_image
    WHERE tenant_id = g.tenant_id AND generation_id = g.id
) i ON true
WHERE g.id >= %s AND g.finished_at >= %s AND g.status IN ('completed', 'in_review', 'failed') AND g.cached_from IS NULL
GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Day:
    """One version of one model on one day (UTC). Seconds; None where nothing was drawn or scored."""

    day: date
    model: str
    version: str
    generations: int
    failed: int
    quality: float | None
    drawing_p50: float | None
    drawing_p95: float | None
    queued_p95: float | None

    @property
    def success(self) -> float:
        """In percent."""
        return 100 * (1 - self.failed / self.generations)


def by_day(days: int, *, now: datetime | None = None) -> list[Day]:
    """The newest first. Needs the platform role."""
    midnight = (now or datetime.now(UTC)).replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - timedelta(days=days - 1)
    with atomic():
        rows("SELECT set_config('statement_timeout', %s, true)", [str(PATIENCE_MILLISECONDS)])
        # What was accepted before the first day and ended in it may have waited long: a day more is looked through.
        return [Day(*row) for row in rows(_TRENDS, [earliest_id(since - timedelta(days=1)), since])]


def earliest_id(moment: datetime) -> UUID:
    """No UUIDv7 of this moment or later is smaller."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
