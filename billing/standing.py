"""How a tenant stands with its plan: what it gives, what of it is used, and what limits the tenant set itself.

One statement for a whole page; `quotas` and `ledger` decide, this only tells.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from billing import plans
from billing.models import NOBODY
from billing.plans import Limits
from easel.database import rows

_STANDING: Final = """
SELECT plan.name, plan.slug, version.number, row_to_json(version), s.period_start, s.period_end,
    (SELECT coalesce(sum(available), 0)::bigint FROM billing_lot WHERE tenant_id = %(tenant)s AND available > 0
        AND (expires_at IS NULL OR expires_at > now())),
    coalesce((SELECT held FROM billing_wallet WHERE tenant_id = %(tenant)s), 0),
    (SELECT coalesce(sum(charged), 0)::bigint FROM billing_lot WHERE tenant_id = %(tenant)s AND source = 'plan'
        AND expires_at = s.period_end),
    (SELECT coalesce(sum(amount - removed), 0)::bigint FROM billing_lot WHERE tenant_id = %(tenant)s
        AND source = 'plan' AND expires_at = s.period_end),
    coalesce((SELECT generations FROM billing_tally WHERE tenant_id = %(tenant)s AND key_id = %(nobody)s
        AND span = 'day' AND starts = %(day)s), 0),
    coalesce((SELECT generations FROM billing_tally WHERE tenant_id = %(tenant)s AND key_id = %(nobody)s
        AND span = 'month' AND starts = %(month)s), 0),
    (SELECT coalesce(sum(charged - refunded), 0)::bigint FROM billing_usage WHERE tenant_id = %(tenant)s
        AND day >= %(month)s)
    + (SELECT coalesce(sum(remaining), 0)::bigint FROM billing_hold WHERE tenant_id = %(tenant)s AND ended_at IS NULL),
    own.spend_cap, own.generations_per_day, own.generations_per_month, coalesce(own.cap_is_staffs, false),
    wanted.name, wanted.created_at
FROM billing_subscription s JOIN billing_planversion version ON version.id = s.version_id
JOIN billing_plan plan ON plan.id = version.plan_id
LEFT JOIN billing_allowance own ON own.tenant_id = s.tenant_id AND own.key_id = %(nobody)s
LEFT JOIN (SELECT r.tenant_id, p.name, r.created_at FROM billing_planrequest r JOIN billing_plan p ON p.id = r.plan_id
    WHERE r.outcome = 'open') wanted ON wanted.tenant_id = s.tenant_id
WHERE s.tenant_id = %(tenant)s AND s.ended_at IS NULL
"""

_OFFERS: Final = """
SELECT DISTINCT ON (plan.rank, plan.slug) plan.slug, plan.name, row_to_json(version)
FROM billing_plan plan JOIN billing_planversion version ON version.plan_id = plan.id
WHERE plan.offered OR plan.slug = %s ORDER BY plan.rank, plan.slug, version.number DESC
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    plan: str
    slug: str
    version: int
    limits: Limits
    period_start: datetime
    period_end: datetime
    available: int
    held: int
    plan_spent: int
    plan_granted: int
    today: int
    this_month: int
    spent: int
    spend_cap: int | None
    own_per_day: int | None
    own_per_month: int | None
    cap_is_staffs: bool
    wanted: str | None
    wanted_at: datetime | None

    @property
    def per_day(self) -> int | None:
        return _least(self.own_per_day, self.limits.generations_per_day)

    @property
    def per_month(self) -> int | None:
        return _least(self.own_per_month, self.limits.generations_per_month)


@dataclass(frozen=True, slots=True)
class Offer:
    slug: str
    name: str
    limits: Limits


def of(tenant_id: UUID, *, now: datetime | None = None) -> Standing:
    """Needs the tenant's scope or the platform role. Raises plans.NoPlan."""
    today = (now or datetime.now(UTC)).date()
    found = rows(_STANDING, {"tenant": tenant_id, "nobody": NOBODY, "day": today, "month": today.replace(day=1)})
    if not found:
        raise plans.NoPlan(f"Tenant {tenant_id} is on no plan.")
    (plan, slug, version, given, start, end, available, held, plan_spent, plan_granted, today_, month, spent, cap,
     own_day, own_month, staffs, wanted, wanted_at) = found[0]  # fmt: skip
    return Standing(
        plan=plan, slug=slug, version=version, limits=_limits(given), period_start=start, period_end=end,
        available=available, held=held, plan_spent=plan_spent, plan_granted=plan_granted, today=today_,
        this_month=month, spent=spent, spend_cap=cap, own_per_day=own_day, own_per_month=own_month,
        cap_is_staffs=staffs, wanted=wanted, wanted_at=wanted_at,
    )  # fmt: skip


def offers(current: str) -> list[Offer]:
    """The plans that can be chosen, in order, and the one that the tenant is on."""
    return [Offer(slug, name, _limits(given)) for slug, name, given in rows(_OFFERS, [current])]


def _limits(given: dict[str, Any]) -> Limits:
    return Limits(**{name: given[name] for name in Limits.__dataclass_fields__})


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)
