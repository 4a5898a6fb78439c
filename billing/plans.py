"""What each plan gives, which plan a tenant is on, and how its month goes round.

A plan's versions never change. Staff publish a next version; subscribers keep theirs until `change` moves them. A
change counts at once for limits, and its credits are prorated by what is left of the period. What a smaller plan cannot
take back, because it is held or spent, is owed until the period ends: it is not granted again, and what comes back
unspent is taken.
"""

import math
from calendar import monthrange
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing import ledger
from billing.models import Lot, Plan, PlanVersion, Subscription, check_moderation_options
from easel.database import Question, atomic, changed, converted, rows

TICK: Final = timedelta(microseconds=1)  # shares of a period are counted in whole ticks: no floating point in money


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one plan version gives. None where there is no limit."""

    monthly_credits: int
    requests_per_minute: int
    generations_per_day: int | None
    generations_per_month: int | None
    running_jobs: int
    queued_jobs: int
    max_size: int
    max_steps: int
    max_images: int
    priority: int
    queue_weight: float
    retention_days: int
    cached_price_percent: int
    moderation_options: dict[str, Any]

    @classmethod
    def of(cls, version: PlanVersion) -> "Limits":
        return cls(**{field.name: getattr(version, field.name) for field in fields(cls)})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class NoPlan(Exception):
    """The tenant is on no plan, or there is no plan of that name."""


_when_changed: list[Callable[[UUID, Limits], None]] = []


def on_changed(act: Callable[[UUID, Limits], None]) -> Callable[[UUID, Limits], None]:
    """Register what an upper app does when a tenant's limits change, inside the transaction that changes them."""
    if act not in _when_changed:
        _when_changed.append(act)
    return act


def newest(slug: str) -> PlanVersion:
    """The version that new subscribers of a plan get."""
    version = PlanVersion.objects.select_related("plan").filter(plan__slug=slug).order_by("-number").first()
    if version is None:
        raise NoPlan(f"There is no plan {slug!r}.")
    return version


def subscription_of(tenant_id: UUID) -> Subscription:
    """With its version and plan. Needs the tenant's scope or the platform role."""
    current: Subscription | None = (
        Subscription.objects.select_related("version__plan").filter(tenant_id=tenant_id, ended_at=None).first()
    )
    if current is None:
        raise NoPlan(f"Tenant {tenant_id} is on no plan.")
    return current


# Asked by every submission: put together once, here, instead of each time by the model layer.
_NAMES: Final = {field.name for field in fields(Limits)}
_GIVEN: Final = [field for field in PlanVersion._meta.local_concrete_fields if field.name in _NAMES]
# Lots of other sources are no month's.
_MONTH: Final = """
SELECT coalesce(sum(amount - removed), 0)::bigint, coalesce(sum(charged), 0)::bigint FROM billing_lot
WHERE tenant_id = %s AND source = 'plan' AND expires_at = %s
"""
_LIMITS: Final = f"""
SELECT {", ".join(f"version.{field.column}" for field in _GIVEN)}
FROM billing_planversion version JOIN billing_subscription subscription ON subscription.version_id = version.id
WHERE subscription.tenant_id = %s AND subscription.ended_at IS NULL
"""  # noqa: S608  names from our own model


def limits_of(tenant_id: UUID) -> Limits:
    """Needs the tenant's scope or the platform role."""
    return limits(tenant_id).ask()


def limits(tenant_id: UUID) -> Question[Limits]:
    """The same, to be asked with others. Raises NoPlan."""

    def read(found: list[tuple[Any, ...]]) -> Limits:
        if not found:
            raise NoPlan(f"Tenant {tenant_id} is on no plan.")
        given = zip(_GIVEN, converted(_GIVEN, found[0]), strict=True)
        return Limits(**{field.name: value for field, value in given})

    return Question(_LIMITS, [tenant_id], read)


def publish(plan: Plan, **given: Any) -> PlanVersion:
    """The plan's next version: the newest one's values, changed as given. Raises ValidationError."""
    with atomic():
        rows("SELECT 1 FROM billing_plan WHERE id = %s FOR UPDATE", [plan.id])  # one next number at a time
        last = PlanVersion.objects.filter(plan=plan).order_by("-number").first()
        base = Limits.of(last).as_dict() if last else {}
        check_moderation_options(given.get("moderation_options", {}))
        return PlanVersion.objects.create(plan=plan, number=last.number + 1 if last else 1, **{**base, **given})


def subscribe(tenant_id: UUID, slug: str, *, at: datetime | None = None) -> Subscription:
    """Put a tenant that is on no plan on one: its first month begins, with the month's credits."""
    now = at or datetime.now(UTC)
    version = newest(slug)
    with atomic():
        subscription: Subscription = Subscription.objects.create(
            tenant_id=tenant_id,
            version=version,
            anchor_day=now.day,
            period_start=now,
            period_end=next_period(now, now.day),
        )
        _grant_month(subscription, at=now)
        _tell(tenant_id, version)
    return subscription


def change(tenant_id: UUID, version: PlanVersion, *, at: datetime | None = None) -> Subscription:
    """Move a tenant to another plan version at once. The period stays; the difference of the month's credits is
    prorated: granted on the way up (rounded down), taken back on the way down (rounded up) as far as it is unspent.
    The rest of it is owed: a way up does not grant it again, and `take_owed` takes what of it comes back."""
    now = at or datetime.now(UTC)
    with atomic():
        before = _locked(tenant_id)
        if before.version_id == version.id:
            return before
        while before.period_end <= now:
            before = _renew(before)
        changed("UPDATE billing_subscription SET ended_at = %s WHERE id = %s", [now, before.id])
        after = Subscription(
            tenant_id=tenant_id,
            version=version,
            anchor_day=before.anchor_day,
            period_start=before.period_start,
            period_end=before.period_end,
        )
        after.owed = _prorate(before, after, at=now)
        after.save(force_insert=True)
        _tell(tenant_id, version)
    return after


def take_owed(tenant_id: UUID, *, at: datetime | None = None) -> int:
    """Take back what a smaller plan could not, as far as it has come back unspent. Returns the credits taken."""
    now = at or datetime.now(UTC)
    with atomic():
        current = _locked(tenant_id)
        if not current.owed or current.period_end <= now:
            return 0
        taken = ledger.take(
            tenant_id,
            current.owed,
            operation_id=f"owed:{current.id}:{current.owed}",
            source=Lot.Source.PLAN,
            partial=True,
            reason=f"On hold when the plan became {current.version.plan.name}",
            at=now,
        )
        changed("UPDATE billing_subscription SET owed = owed - %s WHERE id = %s", [taken, current.id])
    return taken


def renew_due(tenant_id: UUID, *, at: datetime | None = None) -> int:
    """Begin every period that is due, and grant its credits. Returns how many began."""
    now = at or datetime.now(UTC)
    begun = 0
    with atomic():
        subscription = _locked(tenant_id)
        while subscription.period_end <= now:
            subscription = _renew(subscription)
            begun += 1
    return begun


def next_period(start: datetime, anchor_day: int) -> datetime:
    """A month later, on the anchor day or the month's last."""
    year, month = (start.year + 1, 1) if start.month == 12 else (start.year, start.month + 1)
    return start.replace(year=year, month=month, day=min(anchor_day, monthrange(year, month)[1]))


def _locked(tenant_id: UUID) -> Subscription:
    rows("SELECT 1 FROM billing_subscription WHERE tenant_id = %s AND ended_at IS NULL FOR UPDATE", [tenant_id])
    return subscription_of(tenant_id)


def _renew(subscription: Subscription) -> Subscription:
    start = subscription.period_end
    subscription.period_start, subscription.period_end = start, next_period(start, subscription.anchor_day)
    subscription.owed = 0  # of a month whose credits are gone
    changed(
        "UPDATE billing_subscription SET period_start = %s, period_end = %s, owed = 0 WHERE id = %s",
        [subscription.period_start, subscription.period_end, subscription.id],
    )
    _grant_month(subscription, at=start)
    return subscription


def month_of(tenant_id: UUID, end: datetime) -> tuple[int, int]:
    """Credits: what the plan gave for the month that ends then, less what a change took back, and what of it is spent.
    Needs the tenant's scope or the platform role."""
    ((given, spent),) = rows(_MONTH, [tenant_id, end])
    return given, spent


def _grant_month(subscription: Subscription, *, at: datetime) -> None:
    credits_ = subscription.version.monthly_credits
    if credits_:
        ledger.grant(
            subscription.tenant_id,
            credits_,
            operation_id=f"plan:{subscription.period_start:%Y%m%dT%H%M%S}",
            source=Lot.Source.PLAN,
            expires_at=subscription.period_end,
            reason=f"{subscription.version.plan.name} plan, month from {subscription.period_start:%Y-%m-%d}",
            at=at,
        )


def _prorate(before: Subscription, after: Subscription, *, at: datetime) -> int:
    """The part of the month that is left, of the difference; what is owed comes first. Returns what is owed then: with
    it, however often a plan is changed back and forth, a month gives no more than each plan's share of it."""
    left = Fraction((after.period_end - at) // TICK, (after.period_end - after.period_start) // TICK)
    difference = math.floor((after.version.monthly_credits - before.version.monthly_credits) * left)
    due = difference - before.owed
    reason = f"{before.version.plan.name} to {after.version.plan.name}, {float(left):.0%} of the month left"
    operation_id = f"proration:{after.id}"
    if due > 0:
        ledger.grant(
            after.tenant_id,
            due,
            operation_id=operation_id,
            source=Lot.Source.PLAN,
            expires_at=after.period_end,
            reason=reason,
            at=at,
        )
    if due >= 0:
        return 0
    taken = ledger.take(
        after.tenant_id,
        -due,
        operation_id=operation_id,
        source=Lot.Source.PLAN,
        partial=True,
        reason=reason,
        at=at,
    )
    return -due - taken


def _tell(tenant_id: UUID, version: PlanVersion) -> None:
    limits = Limits.of(version)
    for act in _when_changed:
        act(tenant_id, limits)
