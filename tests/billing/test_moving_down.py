"""A smaller plan takes back what of the month is unspent, what was held once it comes back; nothing is given twice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import ledger, plans, reconciliation
from billing.models import PlanVersion
from easel.clock import perform
from easel.database import platform_role, rows
from easel.identifiers import new_id
from tests.billing.purses import Purse, purse, tenant_with

START = datetime(2036, 1, 31, 9, 30, tzinfo=UTC)
FREE, PRO, BUSINESS = 1_000, 50_000, 500_000  # credits a month
SLUGS = ("free", "pro", "business")


@pytest.fixture(autouse=True)
def _platform() -> Iterator[None]:
    with platform_role():
        yield


@pytest.fixture
def on_pro() -> UUID:
    tenant = tenant_with()
    plans.subscribe(tenant, "pro", at=START)
    return tenant


def move(tenant: UUID, *slugs: str, at: datetime = START) -> None:
    for slug in slugs:
        plans.change(tenant, plans.newest(slug), at=at)


def hold(tenant: UUID, amount: int, at: datetime = START) -> UUID:
    job = new_id()
    ledger.hold(tenant, job, amount, at=at)
    return job


def spend(tenant: UUID, amount: int) -> None:
    ledger.settle(tenant, hold(tenant, amount), charge=amount, at=START)


def owed(tenant: UUID) -> int:
    return plans.subscription_of(tenant).owed


def test_what_was_held_is_taken_back_when_its_job_is_canceled(on_pro: UUID) -> None:
    job = hold(on_pro, PRO)
    move(on_pro, "free")
    assert (purse(on_pro), owed(on_pro)) == (Purse(0, PRO), PRO - FREE)
    assert plans.take_owed(on_pro, at=START) == 0
    ledger.release(on_pro, job, at=START)
    assert plans.take_owed(on_pro, at=START) == PRO - FREE
    assert plans.take_owed(on_pro, at=START) == 0
    assert (purse(on_pro), owed(on_pro)) == (Purse(FREE, 0), 0)


def test_what_comes_back_in_parts_is_taken_in_parts_and_what_was_spent_stays_spent(on_pro: UUID) -> None:
    jobs = [hold(on_pro, 20_000), hold(on_pro, 25_000), hold(on_pro, 5_000)]
    move(on_pro, "free")
    ledger.settle(on_pro, jobs[0], charge=12_000, at=START)
    assert plans.take_owed(on_pro, at=START) == 8_000
    ledger.release(on_pro, jobs[1], at=START)
    assert plans.take_owed(on_pro, at=START) == 25_000
    ledger.release(on_pro, jobs[2], at=START)
    assert plans.take_owed(on_pro, at=START) == 5_000
    assert (purse(on_pro), owed(on_pro)) == (Purse(0, 0), 11_000), "12,000 were spent, of a month of 1,000"
    assert not any(reconciliation.run(tenant_id=on_pro).values())


def test_the_clock_takes_it_and_leaves_bought_credits_alone() -> None:
    tenant, now = tenant_with(), datetime.now(UTC)
    plans.subscribe(tenant, "pro", at=now)
    job = new_id()
    ledger.hold(tenant, job, PRO)
    ledger.grant(tenant, 70, operation_id="grant:bought")
    move(tenant, "free", at=now)
    perform("take_owed_credits")
    assert purse(tenant) == Purse(70, PRO)
    ledger.release(tenant, job)
    perform("take_owed_credits")
    assert purse(tenant) == Purse(FREE + 70, 0)


def test_a_move_takes_what_has_come_back_before_the_clock_did(on_pro: UUID) -> None:
    job = hold(on_pro, PRO)
    move(on_pro, "free")
    ledger.release(on_pro, job, at=START)
    move(on_pro, "pro", "free")
    assert (purse(on_pro), owed(on_pro)) == (Purse(FREE, 0), 0)


@pytest.mark.parametrize("use", [hold, spend])
def test_what_is_held_or_spent_is_not_granted_again(use: Any, on_pro: UUID) -> None:
    use(on_pro, PRO)
    move(on_pro, "free", "pro", "free", "pro")
    assert (purse(on_pro).available, owed(on_pro)) == (0, 0)
    move(on_pro, "free", "business")
    assert purse(on_pro).available == BUSINESS - PRO


def test_going_down_and_up_does_not_give_back_what_staff_have_taken(on_pro: UUID) -> None:
    ledger.take(on_pro, 20_000, operation_id="adjustment:1", at=START)
    move(on_pro, "free", "pro")
    assert purse(on_pro).available == PRO - 20_000


def test_a_new_month_owes_nothing(on_pro: UUID) -> None:
    job = hold(on_pro, PRO)
    move(on_pro, "free")
    end = plans.subscription_of(on_pro).period_end
    plans.renew_due(on_pro, at=end)
    ledger.release(on_pro, job, at=end)
    assert (owed(on_pro), plans.take_owed(on_pro, at=end)) == (0, 0)
    move(on_pro, "pro", at=end)
    ((live,),) = rows(
        "SELECT sum(available)::int FROM billing_lot WHERE tenant_id = %s AND expires_at > %s", [on_pro, end]
    )
    assert live == PRO


def test_a_month_that_is_over_is_not_taken_from(on_pro: UUID) -> None:
    hold(on_pro, PRO)
    move(on_pro, "free")
    assert plans.take_owed(on_pro, at=plans.subscription_of(on_pro).period_end) == 0
    assert owed(on_pro) == PRO - FREE


def test_a_move_after_months_that_the_clock_missed_is_prorated_by_the_present_one(on_pro: UUID) -> None:
    now = START + timedelta(days=100)
    move(on_pro, "business", at=now)
    current = plans.subscription_of(on_pro)
    assert current.period_start <= now < current.period_end
    tick = timedelta(microseconds=1)
    left = Fraction((current.period_end - now) // tick, (current.period_end - current.period_start) // tick)
    ((live,),) = rows(
        "SELECT sum(available)::int FROM billing_lot WHERE tenant_id = %s AND expires_at > %s", [on_pro, now]
    )
    assert live == PRO + int((BUSINESS - PRO) * left)


# --- Whatever is done within a month ------------------------------------------------------------------------

deeds = st.one_of(
    st.tuples(st.just("move"), st.sampled_from(SLUGS)),
    st.tuples(st.just("move"), st.sampled_from(SLUGS)),
    st.tuples(st.just("use"), st.integers(1, 100)),
    st.tuples(st.just("settle"), st.integers(0, 100)),
    st.tuples(st.just("hours"), st.integers(1, 72)),
    st.tuples(st.just("clock"), st.none()),
)


class Month:
    """One tenant's month, and the share of it that its plans give: exact, to compare with what they did give."""

    def __init__(self) -> None:
        self.tenant, self.now = tenant_with(), START
        self.version: PlanVersion = plans.subscribe(self.tenant, "free", at=START).version
        self.end = plans.subscription_of(self.tenant).period_end
        self.share = self.largest = Fraction(FREE)
        self.held: list[tuple[UUID, int]] = []

    def move(self, slug: str) -> None:
        version = plans.newest(slug)
        plans.change(self.tenant, version, at=self.now)
        left = Fraction((self.end - self.now).total_seconds()) / Fraction((self.end - START).total_seconds())
        self.share += (version.monthly_credits - self.version.monthly_credits) * left
        self.largest = max(self.largest, self.share)
        self.version = version

    def use(self, percent: int) -> None:
        if amount := purse(self.tenant).available * percent // 100:
            self.held.append((hold(self.tenant, amount, self.now), amount))

    def settle(self, percent: int) -> None:
        if self.held:
            job, amount = self.held.pop()
            ledger.settle(self.tenant, job, charge=amount * percent // 100, at=self.now)

    def hours(self, hours: int) -> None:
        self.now = min(self.now + timedelta(hours=hours), self.end - timedelta(hours=1))

    def clock(self, _: None) -> None:
        plans.take_owed(self.tenant, at=self.now)

    def given(self) -> tuple[int, int]:
        """Granted less taken back, and what of it is spent."""
        ((net, spent),) = rows(
            "SELECT sum(amount - removed)::bigint, sum(charged)::bigint FROM billing_lot WHERE tenant_id = %s",
            [self.tenant],
        )
        return net, spent


@settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(deeds, min_size=5, max_size=30))
def test_no_way_through_a_month_gives_more_than_the_plans_shares_of_it(done: list[tuple[str, Any]]) -> None:
    with platform_role():
        month = Month()
        for deed, subject in done:
            getattr(month, deed)(subject)
            assert month.given()[0] <= month.largest
        while month.held:
            month.settle(0)
        month.clock(None)
        net, spent = month.given()
        assert net <= max(month.share, spent), "what is unspent beyond the share is taken back"
        assert not any(reconciliation.run(tenant_id=month.tenant).values())
