"""What the staff's page says of the queue, of the people who work in it, and of the rules that fill it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from easel.database import rows
from moderation.cards import title_of

TALLEST: Final = 100  # units of a chart's height
AGES: Final = (5, 60, 240, 1440)  # minutes: the bounds of the age classes

_OPEN: Final = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::int,
    count(*) FILTER (WHERE claimed_until > now()), count(*) FILTER (WHERE escalated)
FROM moderation_case WHERE status = 'open'
"""
_AGES: Final = """
SELECT width_bucket(extract(epoch FROM now() - created_at) / 60, %s::float[]), count(*)
FROM moderation_case WHERE status = 'open' GROUP BY 1
"""
_CATEGORIES: Final = """
SELECT category, count(*), extract(epoch FROM now() - min(created_at))::int FROM moderation_case
WHERE status = 'open' GROUP BY category ORDER BY 2 DESC
"""
_HOURS: Final = """
SELECT hour, count(c.id) FILTER (WHERE decision = 'approve'), count(c.id) FILTER (WHERE decision = 'reject')
FROM generate_series(date_trunc('hour', now()) - interval '23 hours', date_trunc('hour', now()), interval '1 hour') hour
LEFT JOIN moderation_case c ON c.decided_at >= hour AND c.decided_at < hour + interval '1 hour'
    AND c.decided_by <> 'screening'
GROUP BY hour ORDER BY hour
"""
_PEOPLE: Final = """
SELECT c.decided_by, count(*), count(*) FILTER (WHERE c.decision = 'reject'),
    round(count(*)::numeric / greatest(1, count(DISTINCT date_trunc('hour', c.decided_at))), 1),
    count(s.id), count(s.id) FILTER (WHERE s.decision = c.decision)
FROM moderation_case c LEFT JOIN moderation_case s ON s.opinion_on = c.id AND s.status = 'applied'
WHERE c.decided_at > now() - interval '7 days' AND c.decided_by NOT IN ('', 'screening') AND c.kind <> 'second'
GROUP BY c.decided_by ORDER BY 2 DESC LIMIT 50
"""
_AGREEMENT: Final = """
SELECT count(*) FILTER (WHERE s.decision = c.decision), count(*) FROM moderation_case s
JOIN moderation_case c ON c.id = s.opinion_on WHERE s.kind = 'second' AND s.status = 'applied'
"""
_OUTCOMES: Final = """
SELECT count(*) FILTER (WHERE kind = 'appeal' AND decision = 'approve'), count(*) FILTER (WHERE kind = 'appeal'),
    count(*) FILTER (WHERE kind = 'complaint' AND decision = 'reject'), count(*) FILTER (WHERE kind = 'complaint')
FROM moderation_case WHERE status = 'applied'
"""
# A case that a person released was a false alarm of whatever rule held it.
_RULES: Final = """
SELECT rule, category, count(*), count(*) FILTER (WHERE decision = 'approve') FROM moderation_case
WHERE status = 'applied' AND kind = 'held' AND rule <> '' AND decided_by <> 'screening'
GROUP BY rule, category ORDER BY 4 DESC, 3 DESC LIMIT 50
"""
_TENANTS: Final = """
SELECT c.tenant_id, t.name, count(*) FROM moderation_case c JOIN tenants_tenant t ON t.id = c.tenant_id
WHERE c.status = 'open' GROUP BY 1, 2 ORDER BY 3 DESC, 2 LIMIT 100
"""


@dataclass(frozen=True, slots=True)
class Ratio:
    part: int
    whole: int

    @property
    def percent(self) -> int | None:
        return round(100 * self.part / self.whole) if self.whole else None


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour, in the units of the chart: what was rejected stands on what was approved."""

    label: str
    approved: int
    rejected: int
    x: int
    low: int
    high: int

    @property
    def y(self) -> int:
        return TALLEST - self.low - self.high

    @property
    def base(self) -> int:
        return TALLEST - self.low


def figures() -> dict[str, Any]:
    ((open_, oldest, claimed, escalated),) = rows(_OPEN)
    ((overturned, appeals, upheld, complaints),) = rows(_OUTCOMES)
    ((agreed, opinions),) = rows(_AGREEMENT)
    bars = _bars(rows(_HOURS))
    return {
        "open": open_, "oldest": oldest, "claimed": claimed, "escalated": escalated,
        "ages": _ages(rows(_AGES, [list(AGES)])), "bars": bars,
        "decided_last_hour": bars[-1].approved + bars[-1].rejected,
        "decided_last_day": sum(bar.approved + bar.rejected for bar in bars),
        "agreement": Ratio(agreed, opinions), "overturned": Ratio(overturned, appeals),
        "upheld": Ratio(upheld, complaints),
        "categories": [(name, title_of(name), count, age) for name, count, age in rows(_CATEGORIES)],
        "people": [
            (who, count, rejected, hourly, Ratio(agreed_with, asked))
            for who, count, rejected, hourly, asked, agreed_with in rows(_PEOPLE)
        ],
        "rules": [(rule, title_of(name), count, Ratio(wrong, count)) for rule, name, count, wrong in rows(_RULES)],
    }  # fmt: skip


def tenants_waiting() -> list[tuple[Any, ...]]:
    """Id, name and number of open cases, the most first."""
    return rows(_TENANTS)


def _ages(found: Iterable[tuple[Any, ...]]) -> list[int]:
    """How many open cases are younger than each of AGES, and how many are older than all."""
    counts = dict(found)
    return [int(counts.get(index, 0)) for index in range(len(AGES) + 1)]


def _bars(found: list[tuple[Any, ...]]) -> list[Bar]:
    most = max((approved + rejected for _, approved, rejected in found), default=0) or 1
    return [
        Bar(f"{hour:%H:%M}", approved, rejected, index * 10, _high(approved, most), _high(rejected, most))
        for index, (hour, approved, rejected) in enumerate(found)
    ]


def _high(count: int, most: int) -> int:
    """Whatever is not nothing can be seen."""
    return max(2, round(count / most * (TALLEST - 4))) if count else 0
