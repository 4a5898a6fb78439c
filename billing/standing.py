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
    least(own.spend_cap, own.staff_cap), own.generations_per_day, own.generations_per_month,
    CASE WHEN asked.outcome = 'open' THEN asked.name END,
    CASE WHEN asked.outcome = 'declined' THEN asked.name END, asked.reason
FROM billing_subscription s JOIN billing_planversion version ON version.id = s.version_id
JOIN billing_plan plan ON plan.id = version.plan_id
LEFT JOIN billing_allowance own ON own.tenant_id = s.tenant_id AND own.key_id = %(nobody)s
LEFT JOIN LATERAL (
    SELECT p.name, r.outcome, r.reason FROM billing_planrequest r JOIN billing_plan p ON p.id = r.plan_id
    WHERE r.tenant_id = s.tenant_id AND (r.decided_at IS NULL OR r.decided_at > now() - make_interval(days => %(told)s))
    ORDER BY r.created_at DESC, r.id DESC LIMIT 1
) asked ON true
WHERE s.tenant_id = %(tenant)s AND s.ended_at IS NULL
"""

_OFFERS: Final = """
SELECT plan.slug, plan.name, row_to_json(version), plan.slug = %(slug)s AND version.number = %(version)s
FROM billing_plan plan JOIN billing_planversion version ON version.plan_id = plan.id
WHERE (plan.slug = %(slug)s AND version.number = %(version)s)
    OR (plan.offered AND version.number = (SELECT max(number) FROM billing_planversion v WHERE v.plan_id = plan.id))
ORDER BY plan.rank, plan.slug, version.number
"""
ANSWER_DAYS: Final = 30  # the page tells so long why a plan was declined


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
    wanted: str | None
    declined: str | None  # the plan that was asked for last, if staff declined it, and why
    declined_reason: str | None

    @property
    def per_day(self) -> int | None:
        return _least(self.own_per_day, self.limits.generations_per_day)

    @property
    def per_month(self) -> int | None:
        return _least(self.own_per_month, self.limits.generations_per_month)


@dataclass(frozen=True, slots=True)
class Offer:
    """A version of a plan: the tenant's own, or what whoever changes now would get."""

    slug: str
    name: str
    limits: Limits
    own: bool


def of(tenant_id: UUID, *, now: datetime | None = None) -> Standing:
    """Needs the tenant's scope or the platform role. Raises plans.NoPlan."""
    today = (now or datetime.now(UTC)).date()
    found = rows(_STANDING, {
        "tenant": tenant_id, "nobody": NOBODY, "day": today, "month": today.replace(day=1), "told": ANSWER_DAYS,
    })  # fmt: skip
    if not found:
        raise plans.NoPlan(f"Tenant {tenant_id} is on no plan.")
    (plan, slug, version, given, start, end, available, held, plan_spent, plan_granted, today_, month, spent, cap,
     own_day, own_month, wanted, declined, why) = found[0]  # fmt: skip
    return Standing(
        plan=plan, slug=slug, version=version, limits=_limits(given), period_start=start, period_end=end,
        available=available, held=held, plan_spent=plan_spent, plan_granted=plan_granted, today=today_,
        this_month=month, spent=spent, spend_cap=cap, own_per_day=own_day, own_per_month=own_month,
        wanted=wanted, declined=declined, declined_reason=why,
    )  # fmt: skip


def offers(stands: Standing) -> list[Offer]:
    """The version that the tenant is on, and the newest ones of the plans that can be chosen, in order. Of its own plan
    a newer version is only there if it gives something else."""
    current = {"slug": stands.slug, "version": stands.version}
    found = [Offer(slug, name, _limits(given), own) for slug, name, given, own in rows(_OFFERS, current)]
    return [each for each in found if each.own or each.slug != stands.slug or each.limits != stands.limits]


def _limits(given: dict[str, Any]) -> Limits:
    return Limits(**{name: given[name] for name in Limits.__dataclass_fields__})


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)
