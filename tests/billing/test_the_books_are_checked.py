"""Reconciliation, alerts and the clock's other duties of money."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from billing import alerts, duties, ledger, plans, reconciliation
from billing.models import NOBODY, Alert, Allowance, Lot, Tally
from easel.clock import perform
from easel.database import atomic, changed, platform_role, rows
from easel.identifiers import new_id
from tests.billing.purses import Purse, purse, tenant_with
from tests.counting import queries


@pytest.fixture(autouse=True)
def _platform() -> Iterator[None]:
    with platform_role():
        yield


def busy_tenant() -> UUID:
    tenant, done, going = tenant_with(100), new_id(), new_id()
    ledger.hold(tenant, done, 30, model="m")
    ledger.settle(tenant, done, charge=20, images=1)
    ledger.refund(tenant, done, 5, operation_id="refund:1")
    ledger.hold(tenant, going, 10, model="m")
    return tenant


BREAKS = {
    "wallet_equals_entries": "UPDATE billing_wallet SET available = available + 1 WHERE tenant_id = %s",
    "wallet_equals_lots": "UPDATE billing_lot SET amount = amount + 1, available = available + 1 WHERE tenant_id = %s",
    "lots_equal_entries": "UPDATE billing_lot SET amount = amount + 1, removed = removed + 1 WHERE tenant_id = %s",
    "holds_equal_pins": "UPDATE billing_hold SET remaining = remaining - 1 WHERE tenant_id = %s AND remaining > 0",
    "lots_equal_pins": "UPDATE billing_pin SET amount = amount + 1 WHERE tenant_id = %s",
    "holds_equal_entries": "UPDATE billing_hold SET refunded = refunded + 1 WHERE tenant_id = %s AND charged > 0",
    "usage_equals_entries": "UPDATE billing_usage SET charged = charged + 1 WHERE tenant_id = %s",
    "entries_have_a_wallet": "DELETE FROM billing_wallet WHERE tenant_id = %s",
}


@pytest.mark.parametrize("check", BREAKS)
def test_each_check_notices_what_it_is_for(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = busy_tenant()
    real = reconciliation.rows
    # The break must not outlive the test, so the checks run inside its transaction.
    monkeypatch.setattr(reconciliation, "rows", lambda sql, *rest: [] if sql.startswith("SET ") else real(sql, *rest))
    with atomic():
        assert not any(reconciliation.run(tenant_id=tenant).values())
        assert changed(BREAKS[check], [tenant]) >= 1
        found = reconciliation.run(tenant_id=tenant)[check]
        assert [each.tenant_id for each in found[:1]] == [tenant]
        transaction.set_rollback(True, using="platform")
    assert not any(reconciliation.run(tenant_id=tenant).values())


def test_every_check_has_a_break() -> None:
    ours = {check for check in reconciliation._CHECKS if "generation" not in check}
    assert ours == set(BREAKS)


def test_the_command_says_what_does_not_add_up() -> None:
    tenant = busy_tenant()
    out = StringIO()
    call_command("reconcile", tenant=tenant, stdout=out)
    assert "wallet_equals_entries: no differences" in out.getvalue()
    changed("UPDATE billing_usage SET charged = charged + 1 WHERE tenant_id = %s", [tenant])
    try:
        with pytest.raises(CommandError, match="does not add up"):
            call_command("reconcile", tenant=tenant, stdout=out)
        assert "usage_equals_entries: 1 difference\n" in out.getvalue()
        perform("reconcile_ledger")
        assert reconciliation.DIFFERENCES.labels("usage_equals_entries")._value.get() >= 1
    finally:
        changed("UPDATE billing_usage SET charged = charged - 1 WHERE tenant_id = %s", [tenant])
    perform("reconcile_ledger")
    assert reconciliation.DIFFERENCES.labels("usage_equals_entries")._value.get() == 0


def test_the_clock_removes_what_is_past_its_date() -> None:
    tenant = tenant_with(10)
    ledger.grant(tenant, 40, operation_id="grant:old", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert purse(tenant) == Purse(50, 0)
    perform("expire_lots")
    assert purse(tenant) == Purse(10, 0)


def test_the_clock_begins_the_months_that_are_due() -> None:
    tenant = tenant_with()
    plans.subscribe(tenant, "free", at=datetime.now(UTC) - timedelta(days=32))
    perform("begin_plan_months")
    perform("expire_lots")
    assert purse(tenant) == Purse(1_000, 0)


def test_the_clock_forgets_old_tallies_and_keeps_two_months() -> None:
    tenant, today = tenant_with(), datetime.now(UTC).date()
    for days in (0, 60, 71):
        Tally.objects.create(tenant_id=tenant, span="day", starts=today - timedelta(days=days), generations=1)
    duties.forget_tallies()
    kept = Tally.objects.filter(tenant_id=tenant).values_list("starts", flat=True)
    assert sorted(kept) == [today - timedelta(days=60), today]


# --- Alerts ------------------------------------------------------------------------------------------------


def told(tenant: UUID, subject: str) -> list[int]:
    return sorted(Alert.objects.filter(tenant_id=tenant, subject=subject).values_list("percent", flat=True))


def active_on_free() -> UUID:
    tenant = tenant_with()
    plans.subscribe(tenant, "free")
    Tally.objects.create(tenant_id=tenant, span="day", starts=datetime.now(UTC).date(), generations=1)
    return tenant


def spend(tenant: UUID, amount: int, key_id: UUID = NOBODY) -> None:
    owner = new_id()
    ledger.hold(tenant, owner, amount, key_id=key_id)
    ledger.settle(tenant, owner, charge=amount)


def test_the_months_credits_are_told_at_half_four_fifths_and_all() -> None:
    tenant = active_on_free()
    seen = []
    for amount in (499, 1, 299, 1, 199, 1):
        spend(tenant, amount)
        alerts.raise_due()
        seen.append(told(tenant, "credits"))
    assert seen == [[], [50], [50], [50, 80], [50, 80], [50, 80, 100]]


def test_each_threshold_is_told_once_a_period_and_handed_on_once() -> None:
    tenant, heard = active_on_free(), []
    spend(tenant, 500)
    listener = alerts.on_alert(lambda alert: heard.append((alert.tenant_id, alert.subject, alert.percent)))
    try:
        alerts.raise_due()
        alerts.raise_due()
    finally:
        alerts._listeners.remove(listener)
    assert [each for each in heard if each[0] == tenant] == [(tenant, "credits", 50)]


def test_credits_that_are_no_months_do_not_count() -> None:
    tenant = active_on_free()
    ((lot,),) = rows("SELECT id FROM billing_lot WHERE tenant_id = %s", [tenant])
    ledger.grant(tenant, 5_000, operation_id="grant:bought", at=datetime.now(UTC) - timedelta(days=1))
    spend(tenant, 5_000)
    alerts.raise_due()
    assert told(tenant, "credits") == []
    assert Lot.objects.get(id=lot).charged == 0


def test_a_spend_cap_is_told_for_the_key_it_is_set_for() -> None:
    tenant, key = active_on_free(), new_id()
    Allowance.objects.create(tenant_id=tenant, key_id=key, spend_cap=1_000, staff_cap=100)
    spend(tenant, 79, key)
    spend(tenant, 400)
    alerts.raise_due()
    found = Alert.objects.filter(tenant_id=tenant, subject="spend_cap").values_list("key_id", "percent", "used")
    assert list(found) == [(key, 50, 79)]


def test_a_quota_is_told_as_it_fills() -> None:
    tenant = active_on_free()
    Tally.objects.filter(tenant_id=tenant).update(generations=400)  # of 500 a day
    alerts.raise_due()
    assert told(tenant, "day") == [50, 80]


def test_a_tenant_that_does_nothing_is_not_looked_at() -> None:
    tenant = tenant_with()
    plans.subscribe(tenant, "free")
    spend(tenant, 600)
    alerts.raise_due()
    assert told(tenant, "credits") == []


def test_what_one_tenants_alerts_fail_of_keeps_no_others_back() -> None:
    ill, well = sorted([active_on_free(), active_on_free()])
    spend(ill, 500)
    spend(well, 500)

    def fail(alert: Alert) -> None:
        if alert.tenant_id == ill:
            raise RuntimeError("a listener that cannot")

    alerts.on_alert(fail)
    try:
        alerts.raise_due()
        assert (told(ill, "credits"), told(well, "credits")) == ([], [50])
    finally:
        alerts._listeners.remove(fail)
    alerts.raise_due()
    assert told(ill, "credits") == [50], "the next round tells it"


def test_where_nothing_is_new_the_alerts_of_all_tenants_are_one_statement() -> None:
    for _ in range(2):
        spend(active_on_free(), 600)
    alerts.raise_due()
    with queries() as statements:
        assert alerts.raise_due() == 0
    assert len(statements) == 1


def test_a_cap_of_the_largest_number_is_no_mistake() -> None:
    tenant = active_on_free()
    Allowance.objects.create(tenant_id=tenant, spend_cap=10**18)
    alerts.raise_due()
    assert told(tenant, "spend_cap") == []


def test_the_connections_are_left_as_they_were() -> None:
    duties.reconcile_ledger()
    with transaction.atomic(using="platform"), connections["platform"].cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("off",)
