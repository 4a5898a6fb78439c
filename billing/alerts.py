"""Telling a customer in time: at 50, 80 and 100 percent of the month's credits, of a spend cap and of a quota.

The clock looks at tenants that used something today. Each threshold is told once per period; the row is the event, and
upper apps or deliveries register to hear of it (`on_alert`) inside the transaction that writes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from billing import plans, quotas
from billing.models import NOBODY, Alert, Allowance, Tally
from easel.database import atomic, rows
from easel.identifiers import new_id

THRESHOLDS: Final = (50, 80, 100)
ACTIVE_DAYS: Final = 1

_ONCE: Final = """
INSERT INTO billing_alert (id, tenant_id, subject, key_id, period, percent, used, allowed)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, subject, key_id, period, percent) DO NOTHING RETURNING id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How far something is used in its period."""

    subject: str
    key_id: UUID = NOBODY
    period: date
    used: int
    allowed: int


_listeners: list[Callable[[Alert], None]] = []


def on_alert(act: Callable[[Alert], None]) -> Callable[[Alert], None]:
    """Register what happens with a new alert: a webhook, a mail."""
    if act not in _listeners:
        _listeners.append(act)
    return act


def raise_due(*, now: datetime | None = None) -> int:
    """Raise what is due for every tenant that was active. Returns how many alerts are new."""
    now = now or datetime.now(UTC)
    active = rows(
        "SELECT DISTINCT tenant_id FROM billing_tally WHERE span = 'day' AND key_id = %s AND starts >= %s::date - %s",
        [NOBODY, now.date(), ACTIVE_DAYS],
    )
    return sum(raise_for(tenant_id, now=now) for (tenant_id,) in active)


def raise_for(tenant_id: UUID, *, now: datetime) -> int:
    with atomic():
        return sum(
            _tell(tenant_id, level, percent)
            for level in _levels(tenant_id, now)
            for percent in THRESHOLDS
            if level.allowed > 0 and level.used * 100 >= level.allowed * percent
        )


def _tell(tenant_id: UUID, level: Level, percent: int) -> bool:
    values = [new_id(), tenant_id, level.subject, level.key_id, level.period, percent, level.used, level.allowed]
    raised = rows(_ONCE, values)
    for (alert_id,) in raised:
        alert = Alert.objects.get(id=alert_id)
        for act in _listeners:
            act(alert)
    return bool(raised)


def _levels(tenant_id: UUID, now: datetime) -> Iterator[Level]:
    try:
        subscription = plans.subscription_of(tenant_id)
    except plans.NoPlan:
        return
    given, spent = plans.month_of(tenant_id, subscription.period_end)
    start = subscription.period_start.date()
    yield Level(subject=Alert.Subject.CREDITS, period=start, used=spent, allowed=given)
    limits = plans.Limits.of(subscription.version)
    allowances = {allowance.key_id: allowance for allowance in Allowance.objects.filter(tenant_id=tenant_id)}
    month = now.date().replace(day=1)
    for key_id, allowance in allowances.items():
        if allowance.spend_cap is not None:
            used = quotas.spent(tenant_id, key_id, now=now)
            yield Level(
                subject=Alert.Subject.SPEND_CAP, key_id=key_id, period=month, used=used, allowed=allowance.spend_cap
            )
    tallies = Tally.objects.filter(tenant_id=tenant_id, starts__in=[now.date(), month])
    for tally in tallies:
        current = now.date() if tally.span == Tally.Span.DAY else month
        allowed = quotas.allowed(tally.span, tally.key_id, limits, allowances.get(tally.key_id))
        if allowed is not None and tally.starts == current:
            yield Level(
                subject=tally.span, key_id=tally.key_id, period=current, used=tally.generations, allowed=allowed
            )
