"""What the database itself refuses, whoever asks and whatever the code forgot."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.db import DatabaseError, connections, transaction

from billing import ledger
from easel.database import changed, platform_role, rows
from easel.identifiers import new_id
from tenants.scope import tenant_scope
from tests.billing.purses import Purse, purse, tenant_with

TABLES = ["billing_entry", "billing_planversion", "tenants_auditrecord"]
CHANGES = ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
def test_the_platform_cannot_change_what_was_written(table: str, change: str) -> None:
    with platform_role(), pytest.raises(DatabaseError, match=r"permission denied|append-only"):
        changed(change.format(table))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_customer_cannot_change_what_was_written(table: str, change: str) -> None:
    tenant = tenant_with(10)
    with pytest.raises(DatabaseError, match=r"permission denied|append-only"), tenant_scope(tenant):
        changed(change.format(table))


def test_a_role_that_were_granted_everything_is_stopped_by_the_trigger() -> None:
    tenant_with(10)
    with connections["owner"].cursor() as owner, transaction.atomic(using="owner"):
        owner.execute("GRANT ALL ON billing_entry TO easel_platform")
        owner.execute("SET LOCAL ROLE easel_platform")
        for change in ("UPDATE billing_entry SET available_delta = 0", "DELETE FROM billing_entry"):
            with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(using="owner"):
                owner.execute(change)
        transaction.set_rollback(True, using="owner")


def test_an_operation_cannot_be_entered_twice() -> None:
    tenant = tenant_with(10)
    copy = (
        "INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, operation_id) "
        "SELECT gen_random_uuid(), tenant_id, kind, available_delta, held_delta, operation_id FROM billing_entry "
        "WHERE tenant_id = %s"
    )
    with platform_role(), pytest.raises(DatabaseError, match="entry_operation_once"):
        changed(copy, [tenant])


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE billing_wallet SET available = -1 WHERE tenant_id = %s", "wallet_never_negative"),
        ("UPDATE billing_wallet SET held = -1 WHERE tenant_id = %s", "wallet_never_negative"),
        ("UPDATE billing_lot SET available = available - 1 WHERE tenant_id = %s", "lot_loses_nothing"),
        ("UPDATE billing_hold SET refunded = charged + 1 WHERE tenant_id = %s", "hold_refunded_within_charge"),
        ("UPDATE billing_hold SET ended_at = now() WHERE tenant_id = %s", "hold_ends_empty"),
    ],
)
def test_the_database_refuses_what_would_not_add_up(statement: str, constraint: str) -> None:
    tenant = tenant_with(10)
    with platform_role():
        ledger.hold(tenant, new_id(), 5)
        with pytest.raises(DatabaseError, match=constraint):
            changed(statement, [tenant])
    assert purse(tenant) == Purse(5, 5)


def test_a_customer_moves_only_its_own_credits() -> None:
    mine, theirs = tenant_with(10), tenant_with(10)
    move: Callable[[], None] = lambda: ledger.hold(theirs, new_id(), 5)  # noqa: E731
    scope: AbstractContextManager[None] = tenant_scope(mine)
    with scope, pytest.raises(ledger.InsufficientCredits):
        move()
    assert purse(theirs) == Purse(10, 0)


def test_a_customer_reads_only_its_own_credits() -> None:
    mine, _theirs = tenant_with(10), tenant_with(20)
    with tenant_scope(mine):
        assert rows("SELECT available FROM billing_wallet") == [(10,)]
        assert rows("SELECT amount FROM billing_lot") == [(10,)]
