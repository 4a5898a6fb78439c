from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import IntegrityError

from billing import ledger
from easel.database import platform_role, rows
from easel.identifiers import new_id
from tests.billing.purses import Purse, entries, lots, purse, tenant_with

KEY = UUID(int=7)


@pytest.fixture(autouse=True)
def _platform():
    with platform_role():
        yield


def test_a_hold_moves_credits_from_available_to_held() -> None:
    tenant = tenant_with(100)
    ledger.hold(tenant, new_id(), 30)
    assert purse(tenant) == Purse(70, 30)


def test_settling_charges_what_was_used_and_releases_the_rest() -> None:
    tenant, owner = tenant_with(100), new_id()
    ledger.hold(tenant, owner, 30)
    assert ledger.settle(tenant, owner, charge=20) == 20
    assert purse(tenant) == Purse(80, 0)
    assert entries(tenant) == [("grant", 100, 0), ("hold", -30, 30), ("charge", 0, -20), ("release", 10, -10)]


def test_a_charge_never_exceeds_the_hold() -> None:
    tenant, owner = tenant_with(100), new_id()
    ledger.hold(tenant, owner, 30)
    assert ledger.settle(tenant, owner, charge=31) == 30
    assert purse(tenant) == Purse(70, 0)


def test_a_release_charges_nothing() -> None:
    tenant, owner = tenant_with(100), new_id()
    ledger.hold(tenant, owner, 30)
    ledger.release(tenant, owner)
    assert purse(tenant) == Purse(100, 0)
    assert entries(tenant)[-1] == ("release", 30, -30)


def test_settling_twice_changes_nothing_the_second_time() -> None:
    tenant, owner = tenant_with(100), new_id()
    ledger.hold(tenant, owner, 30)
    ledger.settle(tenant, owner, charge=30)
    with pytest.raises(ledger.AlreadySettled):
        ledger.settle(tenant, owner, charge=30)
    with pytest.raises(ledger.AlreadySettled):
        ledger.release(tenant, owner)
    assert purse(tenant) == Purse(70, 0)


# All that a payment writes, but for ids and moments.
WRITTEN = (
    "SELECT kind, available_delta, held_delta, split_part(operation_id, ':', 1), key_id, model, status, generations, "
    "images FROM billing_entry WHERE tenant_id = %s ORDER BY created_at, id",
    "SELECT source, amount, available, pinned, charged FROM billing_lot WHERE tenant_id = %s ORDER BY granted_at",
    "SELECT key_id, model, amount, remaining, charged, refunded, status, lives_until, ended_at IS NULL "
    "FROM billing_hold WHERE tenant_id = %s",
    "SELECT count(*) FROM billing_pin WHERE tenant_id = %s",
    "SELECT key_id, model, status, generations, images, charged FROM billing_usage WHERE tenant_id = %s",
)


def test_paying_at_once_leaves_what_a_hold_and_its_settling_leave() -> None:
    def written(*, at_once: bool) -> list[list[tuple[object, ...]]]:
        tenant, owner = tenant_with(20, expires_at=datetime(2100, 1, 1, tzinfo=UTC)), new_id()
        ledger.grant(tenant, 30, operation_id="grant:second")
        if at_once:
            ledger.pay(tenant, owner, 25, key_id=KEY, model="m", images=2)
        else:
            ledger.hold(tenant, owner, 25, key_id=KEY, model="m")
            ledger.settle(tenant, owner, charge=25, images=2)
        assert purse(tenant) == Purse(25, 0)
        return [rows(each, [tenant]) for each in WRITTEN]

    assert written(at_once=True) == written(at_once=False)


def test_paying_more_than_there_is_changes_nothing_and_paying_twice_is_refused() -> None:
    tenant, owner = tenant_with(20), new_id()
    with pytest.raises(ledger.InsufficientCredits):
        ledger.pay(tenant, owner, 21)
    assert entries(tenant) == [("grant", 20, 0)]
    ledger.pay(tenant, owner, 5)
    with pytest.raises(IntegrityError):
        ledger.pay(tenant, owner, 5)
    assert purse(tenant) == Purse(15, 0)


def test_what_was_never_held_cannot_be_settled() -> None:
    with pytest.raises(ledger.AlreadySettled):
        ledger.settle(tenant_with(100), new_id(), charge=1)


def test_a_hold_beyond_the_wallet_is_refused_and_leaves_no_trace() -> None:
    tenant = tenant_with(100)
    ledger.hold(tenant, new_id(), 100)
    with pytest.raises(ledger.InsufficientCredits):
        ledger.hold(tenant, new_id(), 1)
    assert purse(tenant) == Purse(0, 100)
    assert len(entries(tenant)) == 2


def test_a_tenant_without_a_wallet_has_no_credits() -> None:
    with pytest.raises(ledger.InsufficientCredits):
        ledger.hold(tenant_with(), new_id(), 1)


def test_one_owner_holds_once() -> None:
    tenant, owner = tenant_with(100), new_id()
    ledger.hold(tenant, owner, 30)
    with pytest.raises(IntegrityError):
        ledger.hold(tenant, owner, 30)
    assert purse(tenant) == Purse(70, 30)


@pytest.mark.parametrize("amount", [0, -1])
def test_amounts_that_are_not_positive_are_refused(amount: int) -> None:
    tenant, owner = tenant_with(100), new_id()
    for move in (
        lambda: ledger.grant(tenant, amount, operation_id="grant:x"),
        lambda: ledger.hold(tenant, owner, amount),
        lambda: ledger.charge(tenant, owner, amount, part="x"),
        lambda: ledger.refund(tenant, owner, amount, operation_id="refund:x"),
        lambda: ledger.take(tenant, amount, operation_id="take:x"),
    ):
        with pytest.raises(ValueError, match="positive"):
            move()
    assert purse(tenant) == Purse(100, 0)


def test_a_negative_charge_is_refused() -> None:
    tenant, owner = tenant_with(100), new_id()
    ledger.hold(tenant, owner, 10)
    with pytest.raises(ValueError, match="negative"):
        ledger.settle(tenant, owner, charge=-1)
    assert purse(tenant) == Purse(90, 10)


def test_a_grant_repeated_counts_once() -> None:
    tenant = tenant_with(100)
    assert ledger.grant(tenant, 5, operation_id="grant:again")
    assert not ledger.grant(tenant, 5, operation_id="grant:again")
    assert purse(tenant) == Purse(105, 0)


def test_two_tenants_may_use_the_same_operation_id() -> None:
    first, second = tenant_with(100), tenant_with(50)
    assert purse(first) == Purse(100, 0)
    assert purse(second) == Purse(50, 0)


def test_a_batch_is_charged_item_by_item_and_settled_at_its_end() -> None:
    tenant, batch = tenant_with(100), new_id()
    ledger.hold(tenant, batch, 60)
    assert ledger.charge(tenant, batch, 10, part="1")
    assert ledger.charge(tenant, batch, 10, part="2")
    assert not ledger.charge(tenant, batch, 10, part="2"), "the same item is not charged twice"
    assert purse(tenant) == Purse(40, 40)
    assert ledger.settle(tenant, batch, charge=5) == 5
    assert purse(tenant) == Purse(75, 0)
    assert lots(tenant) == [(100, 75, 0, 25, 0)]


def test_a_batch_cannot_charge_more_than_is_left_of_its_hold() -> None:
    tenant, batch = tenant_with(100), new_id()
    ledger.hold(tenant, batch, 15)
    ledger.charge(tenant, batch, 10, part="1")
    with pytest.raises(ledger.AlreadySettled):
        ledger.charge(tenant, batch, 6, part="2")
    assert purse(tenant) == Purse(85, 5)


def test_a_batch_that_is_charged_in_full_still_ends() -> None:
    tenant, batch = tenant_with(100), new_id()
    ledger.hold(tenant, batch, 10)
    ledger.charge(tenant, batch, 10, part="1")
    assert ledger.settle(tenant, batch, charge=0) == 0
    with pytest.raises(ledger.AlreadySettled):
        ledger.settle(tenant, batch, charge=0)
    assert purse(tenant) == Purse(90, 0)
