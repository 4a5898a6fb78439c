from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from billing import ledger
from easel.database import platform_role, rows
from easel.identifiers import new_id
from tests.billing.purses import Purse, entries, lots, purse, tenant_with

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _platform():
    with platform_role():
        yield


def two_lots() -> UUID:
    """50 credits that end after a day, then 50 that never end."""
    tenant = tenant_with()
    ledger.grant(tenant, 50, operation_id="grant:old", expires_at=NOON + DAY, at=NOON)
    ledger.grant(tenant, 50, operation_id="grant:new", at=NOON + timedelta(hours=1))
    return tenant


def oldest_lot(tenant: UUID) -> UUID:
    return UUID(str(rows("SELECT id FROM billing_lot WHERE tenant_id = %s ORDER BY granted_at", [tenant])[0][0]))


def test_the_oldest_lot_is_spent_first() -> None:
    tenant = two_lots()
    ledger.hold(tenant, new_id(), 60, at=NOON + timedelta(hours=2))
    assert lots(tenant) == [(50, 0, 50, 0, 0), (50, 40, 10, 0, 0)]


def test_a_charge_is_borne_by_the_oldest_lot_and_the_rest_returns_where_it_came_from() -> None:
    tenant, owner = two_lots(), new_id()
    ledger.hold(tenant, owner, 60, at=NOON + timedelta(hours=2))
    ledger.settle(tenant, owner, charge=45, at=NOON + timedelta(hours=3))
    assert lots(tenant) == [(50, 5, 0, 45, 0), (50, 50, 0, 0, 0)]


def test_credits_past_their_date_cannot_be_held_even_before_the_clock_removed_them() -> None:
    tenant = two_lots()
    with pytest.raises(ledger.InsufficientCredits):
        ledger.hold(tenant, new_id(), 51, at=NOON + DAY)
    ledger.hold(tenant, new_id(), 50, at=NOON + DAY)
    assert purse(tenant) == Purse(50, 50)


def test_the_last_moment_before_the_date_still_counts() -> None:
    tenant = two_lots()
    ledger.hold(tenant, new_id(), 100, at=NOON + DAY - timedelta(microseconds=1))
    assert purse(tenant) == Purse(0, 100)


def test_expiry_removes_what_is_free_and_leaves_what_is_held() -> None:
    tenant, owner = two_lots(), new_id()
    ledger.hold(tenant, owner, 20, at=NOON + timedelta(hours=2))
    assert ledger.expire(tenant, oldest_lot(tenant), at=NOON + DAY) == 30
    assert purse(tenant) == Purse(50, 20)
    assert ledger.settle(tenant, owner, charge=20, at=NOON + 2 * DAY) == 20, "a hold pins its lots"
    assert purse(tenant) == Purse(50, 0)


def test_nothing_expires_early_or_twice() -> None:
    tenant = two_lots()
    lot = oldest_lot(tenant)
    assert ledger.expire(tenant, lot, at=NOON + DAY - timedelta(microseconds=1)) == 0
    assert ledger.expire(tenant, lot, at=NOON + DAY) == 50
    assert ledger.expire(tenant, lot, at=NOON + DAY) == 0
    assert entries(tenant)[-1] == ("expiry", -50, 0)


def test_what_returns_to_an_expired_lot_expires_in_its_turn() -> None:
    tenant, owner = two_lots(), new_id()
    lot = oldest_lot(tenant)
    ledger.hold(tenant, owner, 20, at=NOON + timedelta(hours=2))
    ledger.expire(tenant, lot, at=NOON + DAY)
    ledger.release(tenant, owner, at=NOON + DAY)
    assert ledger.expire(tenant, lot, at=NOON + DAY) == 20
    assert purse(tenant) == Purse(50, 0)
    assert lots(tenant)[0] == (50, 0, 0, 0, 50)


def test_a_refund_is_live_even_where_the_credits_that_paid_are_gone() -> None:
    tenant, owner = two_lots(), new_id()
    ledger.hold(tenant, owner, 50, at=NOON)
    ledger.settle(tenant, owner, charge=50, at=NOON)
    late = NOON + 10 * DAY
    ledger.refund(tenant, owner, 50, operation_id=f"refund:{owner}", at=late)
    ledger.hold(tenant, new_id(), 100, at=late + (ledger.REFUND_DAYS - 1) * DAY)
    assert purse(tenant) == Purse(0, 100)


def test_a_refund_of_credits_that_never_expire_never_expires() -> None:
    tenant, owner = tenant_with(50), new_id()
    ledger.hold(tenant, owner, 50)
    ledger.settle(tenant, owner, charge=50)
    ledger.refund(tenant, owner, 20, operation_id=f"refund:{owner}")
    ((expires_at,),) = rows("SELECT expires_at FROM billing_lot WHERE tenant_id = %s AND source = 'refund'", [tenant])
    assert expires_at is None


def test_a_refund_repeated_counts_once_and_never_exceeds_the_charge() -> None:
    tenant, owner = tenant_with(50), new_id()
    ledger.hold(tenant, owner, 30)
    ledger.settle(tenant, owner, charge=20)
    assert ledger.refund(tenant, owner, 15, operation_id="refund:1")
    assert not ledger.refund(tenant, owner, 15, operation_id="refund:1")
    with pytest.raises(ledger.NothingToRefund):
        ledger.refund(tenant, owner, 6, operation_id="refund:2")
    assert purse(tenant) == Purse(45, 0)


def test_taking_credits_back_is_all_or_nothing() -> None:
    tenant = two_lots()
    with pytest.raises(ledger.InsufficientCredits):
        ledger.take(tenant, 101, operation_id="take:1", at=NOON + timedelta(hours=2))
    assert ledger.take(tenant, 60, operation_id="take:1", at=NOON + timedelta(hours=2)) == 60
    assert ledger.take(tenant, 60, operation_id="take:1", at=NOON + timedelta(hours=2)) == 0, "it was done already"
    assert lots(tenant) == [(50, 0, 0, 0, 50), (50, 40, 0, 0, 10)]
    assert purse(tenant) == Purse(40, 0)


def test_taking_back_leaves_held_credits_alone() -> None:
    tenant = tenant_with(50)
    ledger.hold(tenant, new_id(), 30)
    with pytest.raises(ledger.InsufficientCredits):
        ledger.take(tenant, 21, operation_id="take:1")
    assert ledger.take(tenant, 21, operation_id="take:1", partial=True) == 20
    assert purse(tenant) == Purse(0, 30)
