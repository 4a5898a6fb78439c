"""Telling a customer in time: at 50, 80 and 100 percent of the month's credits, of a spend cap and of a quota.

The clock looks at tenants that used something today. Each threshold is told once per period; the row is the event, and
upper apps or deliveries register to hear of it (`on_alert`) inside the transaction that writes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Final
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError

from billing.models import NOBODY, Alert
from easel.clock import work_off
from easel.database import atomic, rows
from easel.identifiers import new_id

THRESHOLDS: Final = (50, 80, 100)
ACTIVE_DAYS: Final = 1

log = structlog.get_logger(__name__)

_ACTIVE: Final = """
SELECT DISTINCT tenant_id FROM billing_tally
WHERE span = 'day' AND key_id = %(nobody)s AND starts >= %(day)s::date - %(active_days)s
"""
_ONE: Final = "SELECT %(tenant)s::uuid AS tenant_id"
# How far everything is used in its period, and which thresholds that is past that were not told. A plan's quotas are
# the tenant's as a whole; sums of credits are numeric, which holds a hundred times the largest.
_DUE: Final = """
WITH active AS ({whose}),
subscribed AS (
    SELECT s.tenant_id, s.period_start, s.period_end, version.generations_per_day, version.generations_per_month
    FROM active JOIN billing_subscription s ON s.tenant_id = active.tenant_id AND s.ended_at IS NULL
    JOIN billing_planversion version ON version.id = s.version_id
),
level AS (
    SELECT s.tenant_id, 'credits' AS subject, %(nobody)s::uuid AS key_id,
        (s.period_start AT TIME ZONE 'UTC')::date AS period, month.spent AS used, month.given AS allowed
    FROM subscribed s CROSS JOIN LATERAL (
        SELECT coalesce(sum(charged), 0) AS spent, coalesce(sum(amount - removed), 0) AS given FROM billing_lot lot
        WHERE lot.tenant_id = s.tenant_id AND lot.source = 'plan' AND lot.expires_at = s.period_end
    ) month
    UNION ALL
    SELECT s.tenant_id, 'spend_cap', own.key_id, %(month)s::date, charged.credits + held.credits,
        least(own.spend_cap, own.staff_cap)
    FROM subscribed s JOIN billing_allowance own ON own.tenant_id = s.tenant_id
        AND least(own.spend_cap, own.staff_cap) IS NOT NULL
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(usage.charged - usage.refunded), 0) AS credits FROM billing_usage usage
        WHERE usage.tenant_id = s.tenant_id AND usage.day >= %(month)s
            AND (usage.key_id = own.key_id OR own.key_id = %(nobody)s)
    ) charged
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(hold.remaining), 0) AS credits FROM billing_hold hold
        WHERE hold.tenant_id = s.tenant_id AND hold.ended_at IS NULL
            AND (hold.key_id = own.key_id OR own.key_id = %(nobody)s)
    ) held
    UNION ALL
    SELECT s.tenant_id, tally.span, tally.key_id, tally.starts, tally.generations, CASE tally.span
        WHEN 'day' THEN least(own.generations_per_day,
            CASE WHEN tally.key_id = %(nobody)s THEN s.generations_per_day END)
        ELSE least(own.generations_per_month, CASE WHEN tally.key_id = %(nobody)s THEN s.generations_per_month END) END
    FROM subscribed s JOIN billing_tally tally ON tally.tenant_id = s.tenant_id
        AND (tally.span, tally.starts) IN (('day', %(day)s), ('month', %(month)s))
    LEFT JOIN billing_allowance own ON own.tenant_id = tally.tenant_id AND own.key_id = tally.key_id
)
SELECT level.tenant_id, level.subject, level.key_id, level.period, threshold.percent, level.used::bigint,
    level.allowed::bigint
FROM level CROSS JOIN unnest(%(thresholds)s::integer[]) AS threshold (percent)
WHERE level.allowed > 0 AND level.used * 100 >= level.allowed * threshold.percent AND NOT EXISTS (
    SELECT 1 FROM billing_alert told WHERE told.tenant_id = level.tenant_id AND told.subject = level.subject
        AND told.key_id = level.key_id AND told.period = level.period AND told.percent = threshold.percent
)
ORDER BY level.tenant_id, level.subject, level.key_id, threshold.percent
"""
_ONCE: Final = """
INSERT INTO billing_alert (id, tenant_id, subject, key_id, period, percent, used, allowed)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, subject, key_id, period, percent) DO NOTHING RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A threshold that was passed and not told."""

    tenant_id: UUID
    subject: str
    key_id: UUID
    period: date
    percent: int
    used: int
    allowed: int


_listeners: list[Callable[[Alert], None]] = []


def on_alert(act: Callable[[Alert], None]) -> Callable[[Alert], None]:
    """Register what happens with a new alert: a webhook, a mail."""
    if act not in _listeners:
        _listeners.append(act)
    return act


def raise_due(*, now: datetime | None = None) -> int:
    """Raise what is due for every tenant that was active, in turns. Returns how many alerts are new."""
    found = _due(_ACTIVE, now or datetime.now(UTC))
    batches = iter([[list(of_one) for _, of_one in groupby(found, key=lambda due: due.tenant_id)]])
    return work_off(lambda: next(batches, []), _raise_apart)


def raise_for(tenant_id: UUID, *, now: datetime) -> int:
    return _raise(_due(_ONE, now, tenant_id))


def _due(whose: str, now: datetime, tenant_id: UUID | None = None) -> list[Due]:
    today = now.date()
    values = {"nobody": NOBODY, "tenant": tenant_id, "day": today, "month": today.replace(day=1),
              "active_days": ACTIVE_DAYS, "thresholds": list(THRESHOLDS)}  # fmt: skip
    return [Due(*row) for row in rows(_DUE.format(whose=whose), values)]


def _raise_apart(found: list[Due]) -> int:
    """What one tenant's alerts fail of keeps no other's back."""
    try:
        return _raise(found)
    except (OperationalError, InterfaceError):  # the database is away, for all of them
        raise
    except Exception:
        log.exception("alerts.not_raised", tenant=str(found[0].tenant_id))
        return 0


def _raise(found: list[Due]) -> int:
    """Of one tenant, in a transaction."""
    with atomic():
        return sum(_tell(each) for each in found)


def _tell(due: Due) -> bool:
    values = [new_id(), due.tenant_id, due.subject, due.key_id, due.period, due.percent, due.used, due.allowed]
    raised = rows(_ONCE, values)
    for (alert_id,) in raised:
        alert = Alert.objects.get(id=alert_id)
        for act in _listeners:
            act(alert)
    return bool(raised)
