"""Whether a customer may have one more generation: counts per day and month, and spend caps, exactly.

Decided inside the transaction that accepts the generation: the tally's rows are locked by counting, so that of parallel
submissions exactly as many are accepted as the limit allows, and one that is refused for any reason is not counted.
Days and months are UTC's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from billing.models import NOBODY, Allowance, Tally
from billing.plans import Limits
from easel.database import Question, rows
from easel.identifiers import new_id
from easel.problems import Problem
from easel.ratelimit import Usage, refusal

QUEUE_RETRY_SECONDS: Final = 5

_COUNT: Final = """
WITH counted AS (
    INSERT INTO billing_tally AS tally (id, tenant_id, key_id, span, starts, generations) VALUES
        (%(id0)s, %(tenant)s, %(nobody)s, 'day', %(day)s, 1), (%(id1)s, %(tenant)s, %(nobody)s, 'month', %(month)s, 1),
        (%(id2)s, %(tenant)s, %(key)s, 'day', %(day)s, 1), (%(id3)s, %(tenant)s, %(key)s, 'month', %(month)s, 1)
    ON CONFLICT (tenant_id, key_id, span, starts) DO UPDATE SET generations = tally.generations + 1
    RETURNING key_id, span, generations
)
SELECT counted.key_id, span, generations, generations_per_day, generations_per_month,
    least(spend_cap, staff_cap)
FROM counted LEFT JOIN billing_allowance allowance
    ON allowance.tenant_id = %(tenant)s AND allowance.key_id = counted.key_id
"""

# One statement, one snapshot: a charge that is being settled is counted once, as held or as charged.
_SPENT: Final = """
SELECT (SELECT coalesce(sum(charged - refunded), 0) FROM billing_usage
        WHERE tenant_id = %(tenant)s AND day >= %(month)s AND (key_id = %(key)s OR %(key)s = %(nobody)s))
     + (SELECT coalesce(sum(remaining), 0) FROM billing_hold
        WHERE tenant_id = %(tenant)s AND ended_at IS NULL AND (key_id = %(key)s OR %(key)s = %(nobody)s))
"""


@dataclass(frozen=True, slots=True)
class _Counted:
    """One row of the tally after counting, with what its key or tenant allows."""

    key_id: UUID
    span: str
    generations: int
    per_day: int | None
    per_month: int | None
    spend_cap: int | None

    def allowed(self, limits: Limits) -> int | None:
        own = self.per_day if self.span == Tally.Span.DAY else self.per_month
        return _least(own, _of_plan(self.span, self.key_id, limits))


def allowed(span: str, key_id: UUID, limits: Limits, allowance: Allowance | None) -> int | None:
    """Generations that a key, or with NOBODY the tenant, may have in a day or month. None: as many as it likes."""
    own = None
    if allowance is not None:
        own = allowance.generations_per_day if span == Tally.Span.DAY else allowance.generations_per_month
    return _least(own, _of_plan(span, key_id, limits))


def limited(tenant_id: UUID, key_id: UUID) -> bool:
    """Whether the key has a quota or a cap that a key beside it would not have."""
    found = rows(
        "SELECT 1 FROM billing_allowance WHERE tenant_id = %s AND key_id = %s AND "
        "coalesce(spend_cap, staff_cap, generations_per_day, generations_per_month, requests_per_minute) IS NOT NULL",
        [tenant_id, key_id],
    )
    return bool(found)


def counting(tenant_id: UUID, key_id: UUID, *, price: int, limits: Limits, taken: bool = False) -> Question[None]:
    """Counts one more generation that would hold `price` credits; with `taken`, the ledger takes them in the same round
    trip. Its answer raises quota_exceeded or spend_cap_reached."""
    now = datetime.now(UTC)

    def read(found: list[tuple[Any, ...]]) -> None:
        counted = [_Counted(*row) for row in found]
        exceeded = list(_exceeded(counted, limits, now))
        if exceeded:
            raise refusal("quota_exceeded", exceeded, detail=_said(exceeded))
        for each in counted:
            if each.span == Tally.Span.MONTH and each.spend_cap is not None:
                _check_cap(tenant_id, each, price=price, now=now, taken=taken)

    return Question(_COUNT, _parameters(tenant_id, key_id, now), read)


def check_queue(waiting: int, limits: Limits) -> None:
    """`waiting` counts the new one too. Raises Problem too_many_queued; the caller's transaction undoes the rest."""
    if waiting > limits.queued_jobs:
        usage = Usage(
            name="queued",
            limit=limits.queued_jobs,
            seconds=QUEUE_RETRY_SECONDS,
            used=waiting,
            reset=QUEUE_RETRY_SECONDS,
        )
        detail = f"At most {limits.queued_jobs} generations may wait at the same time. Let some of them finish."
        raise refusal("too_many_queued", [usage], detail=detail)


def spent(tenant_id: UUID, key_id: UUID, *, now: datetime) -> int:
    """Credits charged this month and not refunded, and those held now; of one key, or with NOBODY of all."""
    month = now.date().replace(day=1)
    found = rows(_SPENT, {"tenant": tenant_id, "key": key_id, "month": month, "nobody": NOBODY})
    return int(found[0][0])


def span_end(span: str, now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if span == Tally.Span.DAY:
        return midnight + timedelta(days=1)
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)


def _of_plan(span: str, key_id: UUID, limits: Limits) -> int | None:
    if key_id != NOBODY:
        return None  # a plan's quotas are the tenant's as a whole
    return limits.generations_per_day if span == Tally.Span.DAY else limits.generations_per_month


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _parameters(tenant_id: UUID, key_id: UUID, now: datetime) -> dict[str, Any]:
    return {
        **{f"id{number}": new_id() for number in range(4)},
        "tenant": tenant_id,
        "key": key_id,
        "nobody": NOBODY,
        "day": now.date(),
        "month": now.date().replace(day=1),
    }


def _exceeded(counted: list[_Counted], limits: Limits, now: datetime) -> Iterator[Usage]:
    for each in counted:
        allowed = each.allowed(limits)
        if allowed is not None and each.generations > allowed:
            end = span_end(each.span, now)
            start = now.replace(hour=0, minute=0, second=0, microsecond=0)
            if each.span == Tally.Span.MONTH:
                start = start.replace(day=1)
            yield Usage(
                name=f"{'tenant' if each.key_id == NOBODY else 'key'}-{each.span}",
                limit=allowed,
                seconds=int((end - start).total_seconds()),
                used=each.generations,
                reset=max(1, int((end - now).total_seconds()) + 1),
            )


def _check_cap(tenant_id: UUID, counted: _Counted, *, price: int, now: datetime, taken: bool) -> None:
    cap = counted.spend_cap or 0
    already = spent(tenant_id, counted.key_id, now=now) - (price if taken else 0)
    if already + price > cap:
        whose = "The account" if counted.key_id == NOBODY else "This API key"
        raise Problem(
            "spend_cap_reached",
            f"{whose} may spend {cap} credits a month; {already} are spent or held, and this takes {price}.",
        )


def _said(exceeded: list[Usage]) -> str:
    last = max(exceeded, key=lambda usage: usage.reset)
    who, _, span = last.name.partition("-")
    whose = "The account" if who == "tenant" else "This API key"
    return f"{whose} may have {last.limit} generations a {span}. Try again in {last.reset} s."
