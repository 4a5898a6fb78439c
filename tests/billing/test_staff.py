"""What staff do with money: by reason, on record, and through the admin on their own port."""

import html
import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from django.db import DatabaseError
from django.test import Client

from billing import ledger, plans, staff
from billing.models import NOBODY, Allowance, Hold, Plan, PlanRequest, PlanVersion, Subscription, Wallet
from easel.database import changed, platform_role, rows
from easel.identifiers import new_id
from tenants import audit
from tenants.audit import Actor
from tenants.lifecycle import create_tenant
from tenants.models import AuditRecord
from tenants.scope import tenant_scope
from tests.billing.purses import Purse, purse, tenant_with
from tests.cast import Customer
from tests.staff import at_the_staff_port, let_in, staff_person

AMOUNT = "Amount: a whole number of at most 18 digits."
GRACE = Actor(kind="staff", name="grace@easel.local", address="192.0.2.7")


@pytest.fixture(autouse=True)
def _platform() -> Iterator[None]:
    with platform_role():
        yield


def trail(tenant: UUID) -> list[AuditRecord]:
    return list(AuditRecord.objects.filter(tenant_id=tenant).order_by("sequence"))


def test_a_grant_stands_in_the_ledger_and_on_record() -> None:
    tenant = tenant_with()
    assert staff.grant(tenant, 500, reason="sorry for the outage", actor=GRACE)
    assert purse(tenant) == Purse(500, 0)
    (record,) = trail(tenant)
    assert (record.action, record.actor, record.address) == ("credits.granted", "grace@easel.local", "192.0.2.7")
    assert record.details == {"amount": 500, "reason": "sorry for the outage"}
    assert rows("SELECT reason FROM billing_entry WHERE tenant_id = %s", [tenant]) == [("sorry for the outage",)]


def test_a_grant_with_a_reference_counts_once_and_is_recorded_once() -> None:
    tenant = tenant_with()
    assert staff.grant(tenant, 500, reason="ticket", actor=GRACE, reference="ticket-7")
    assert not staff.grant(tenant, 500, reason="ticket", actor=GRACE, reference="ticket-7")
    assert purse(tenant) == Purse(500, 0)
    assert len(trail(tenant)) == 1


@pytest.mark.parametrize("reason", ["", "  "])
def test_nothing_is_done_without_a_reason(reason: str) -> None:
    tenant = tenant_with(10)
    for deed in (
        lambda: staff.grant(tenant, 1, reason=reason, actor=GRACE),
        lambda: staff.adjust(tenant, -1, reason=reason, actor=GRACE),
        lambda: staff.freeze(tenant, reason=reason, actor=GRACE),
    ):
        with pytest.raises(staff.ReasonMissing):
            deed()
    assert purse(tenant) == Purse(10, 0)
    assert trail(tenant) == []
    assert rows("SELECT frozen_at FROM tenants_tenant WHERE id = %s", [tenant]) == [(None,)]


def test_an_adjustment_goes_either_way_but_never_below_zero() -> None:
    tenant = tenant_with(10)
    staff.adjust(tenant, 5, reason="up", actor=GRACE)
    staff.adjust(tenant, -15, reason="down", actor=GRACE)
    with pytest.raises(ledger.InsufficientCredits):
        staff.adjust(tenant, -1, reason="too far", actor=GRACE)
    assert purse(tenant) == Purse(0, 0)
    assert [record.details["amount"] for record in trail(tenant)] == [5, -15]


def test_a_refund_is_bounded_by_the_charge() -> None:
    tenant, owner = tenant_with(10), new_id()
    ledger.hold(tenant, owner, 8)
    ledger.settle(tenant, owner, charge=8)
    staff.refund(tenant, owner, 5, reason="blurred", actor=GRACE)
    with pytest.raises(ledger.NothingToRefund):
        staff.refund(tenant, owner, 4, reason="blurred", actor=GRACE)
    assert purse(tenant) == Purse(7, 0)
    assert [record.object_id for record in trail(tenant)] == [str(owner)]


def test_a_frozen_tenant_is_suspended_and_thaws(ada: Customer) -> None:
    from tenants import keys

    client = ada.client()
    assert client.get("/v1/account").status_code == 200
    assert staff.freeze(ada.id, reason="chargeback", actor=GRACE)
    assert not staff.freeze(ada.id, reason="chargeback", actor=GRACE)
    keys.forget_all()
    answer = client.get("/v1/account")
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_suspended")
    assert staff.unfreeze(ada.id, reason="paid", actor=GRACE)
    keys.forget_all()
    assert client.get("/v1/account").status_code == 200
    assert [record.action for record in trail(ada.id)] == ["tenant.frozen", "tenant.unfrozen"]


def test_a_plan_is_published_and_a_tenant_moved_on_record() -> None:
    tenant = create_tenant(name="Mover")
    version = plans.newest("pro")
    staff.change_plan(tenant.id, version, reason="asked for", actor=GRACE)
    assert plans.subscription_of(tenant.id).version_id == version.id
    assert trail(tenant.id)[-1].details == {"plan": "pro", "version": version.number, "reason": "asked for"}


def test_the_chain_shows_a_record_that_was_changed_or_removed() -> None:
    tenant = tenant_with()
    for amount in (1, 2, 3):
        staff.grant(tenant, amount, reason="gift", actor=GRACE)
    assert audit.first_break(tenant) is None
    tampered = AuditRecord.objects.get(tenant_id=tenant, sequence=2)
    tampered.details = {"amount": 2000, "reason": "gift"}
    assert audit._digest(tampered) != bytes(tampered.digest)
    forged = (
        "INSERT INTO tenants_auditrecord SELECT (jsonb_populate_record(r, %s::jsonb)).* FROM tenants_auditrecord r "
    )
    changed(
        forged + "WHERE tenant_id = %s AND sequence = 3",
        [f'{{"sequence": 4, "id": "{new_id()}", "actor": "nobody"}}', tenant],
    )
    assert audit.first_break(tenant) == 4, "what was not written by audit.record does not hold"


def test_a_tenant_reads_its_own_trail_and_no_other() -> None:
    mine, theirs = tenant_with(), tenant_with()
    staff.grant(mine, 1, reason="gift", actor=GRACE)
    staff.grant(theirs, 1, reason="gift", actor=GRACE)
    audit.record("plan.published", tenant_id=None, actor=GRACE)
    from easel.database import _alias

    token = _alias.set("default")
    try:
        with tenant_scope(mine):
            assert [record.tenant_id for record in AuditRecord.objects.all()] == [mine]
            with pytest.raises(DatabaseError, match="row-level security"):
                audit.record("forged", tenant_id=None, actor=GRACE)
    finally:
        _alias.reset(token)


# --- The admin ---------------------------------------------------------------------------------------------


@pytest.fixture
def admin() -> Iterator[Client]:
    with at_the_staff_port():
        yield let_in(staff_person())


def act(admin: Client, page: str, action: str, row: object, **fields: object) -> str:
    """The page that follows."""
    answer = admin.post(
        f"/admin/billing/{page}/",
        {"action": action, "_selected_action": [str(row)], **fields},
        follow=True,
        headers={"accept": "text/html"},
    )
    assert answer.status_code == 200, answer.content[:300]
    return html.unescape(answer.content.decode())


def test_staff_grant_adjust_and_freeze_in_the_admin(admin: Client) -> None:
    tenant = tenant_with(10)
    wallet = Wallet.objects.get(tenant_id=tenant).id
    act(admin, "wallet", "grant", wallet, amount=90, reason="gift")
    act(admin, "wallet", "adjust", wallet, amount=-50, reason="mistake")
    act(admin, "wallet", "freeze", wallet, reason="abuse")
    assert purse(tenant) == Purse(50, 0)
    assert [record.action for record in trail(tenant)] == ["credits.granted", "credits.adjusted", "tenant.frozen"]
    assert all(record.actor.startswith("staff-") and record.address for record in trail(tenant))


def test_staff_cap_and_uncap_a_tenants_spending_in_the_admin(admin: Client) -> None:
    tenant = tenant_with(10)
    Allowance.objects.create(tenant_id=tenant, spend_cap=50)
    wallet = Wallet.objects.get(tenant_id=tenant).id
    act(admin, "wallet", "cap", wallet, amount=70, reason="asked for")
    assert Allowance.objects.get(tenant_id=tenant).staff_cap == 70
    assert "Say why" in act(admin, "wallet", "cap", wallet, amount=7, reason="")
    assert Allowance.objects.get(tenant_id=tenant).staff_cap == 70
    assert "not negative" in act(admin, "wallet", "cap", wallet, amount=-7, reason="mistake")
    assert AMOUNT in act(admin, "wallet", "cap", wallet, amount="", reason="asked for")
    assert Allowance.objects.get(tenant_id=tenant).staff_cap == 70
    act(admin, "wallet", "lift_cap", wallet, reason="asked for")
    left = Allowance.objects.get(tenant_id=tenant)
    assert (left.staff_cap, left.spend_cap) == (None, 50), "the tenant's own is as it was"
    assert [record.details["credits"] for record in trail(tenant)] == [70, None]


def test_the_admin_says_why_it_refuses(admin: Client) -> None:
    tenant = tenant_with(10)
    wallet = Wallet.objects.get(tenant_id=tenant).id
    assert "Say why" in act(admin, "wallet", "grant", wallet, amount=90, reason="")
    assert "positive" in act(admin, "wallet", "grant", wallet, amount=0, reason="gift")
    assert "not available" in act(admin, "wallet", "adjust", wallet, amount=-11, reason="too much")
    assert purse(tenant) == Purse(10, 0)


@pytest.mark.parametrize("amount", ["1000.0", "+1000", "1e3", "9" * 19, "1 000", "ten", ""])
def test_an_amount_that_is_no_plain_number_is_refused_by_name(admin: Client, amount: str) -> None:
    tenant = tenant_with(10)
    wallet = Wallet.objects.get(tenant_id=tenant).id
    for action in ("grant", "adjust", "cap"):
        page = act(admin, "wallet", action, wallet, amount=amount, reason="gift")
        assert AMOUNT in page
        assert "No action selected" not in page
    assert purse(tenant) == Purse(10, 0)
    assert trail(tenant) == []
    assert not Allowance.objects.filter(tenant_id=tenant).exists()


def test_a_reason_that_is_too_long_is_refused_by_name(admin: Client) -> None:
    tenant = tenant_with(10)
    page = act(admin, "wallet", "freeze", Wallet.objects.get(tenant_id=tenant).id, reason="x" * 501)
    assert "Reason: Ensure this value has at most 500 characters" in page
    assert trail(tenant) == []


def test_a_wallet_that_would_overflow_refuses_by_name(admin: Client) -> None:
    tenant = tenant_with(2**63 - 10)
    try:
        page = act(admin, "wallet", "grant", Wallet.objects.get(tenant_id=tenant).id, amount=90, reason="gift")
        assert "a wallet does not hold so many credits" in page
        assert purse(tenant) == Purse(2**63 - 10, 0)
    finally:
        ledger.take(tenant, 2**63 - 10, operation_id="take:test")


def test_a_deed_that_is_sent_twice_from_one_page_is_done_once(admin: Client) -> None:
    tenant, owner = tenant_with(10), new_id()
    ledger.hold(tenant, owner, 8)
    ledger.settle(tenant, owner, charge=8)
    wallet, hold = Wallet.objects.get(tenant_id=tenant).id, Hold.objects.get(owner_id=owner).id
    page = admin.get("/admin/billing/wallet/").content.decode()
    (once,) = re.findall(r'name="once" value="([0-9a-f-]{36})"', page)
    for table, action, row, amount in (
        ("wallet", "grant", wallet, 90), ("wallet", "adjust", wallet, -50), ("hold", "refund", hold, 3),
    ):  # fmt: skip
        sent = {"amount": amount, "reason": "gift", "once": once}
        assert "was done already" not in act(admin, table, action, row, **sent)
        assert "was done already" in act(admin, table, action, row, **sent)
    assert purse(tenant) == Purse(45, 0)
    assert len(trail(tenant)) == 3
    assert once not in admin.get("/admin/billing/wallet/").content.decode()


def test_a_subscription_that_has_ended_is_not_moved_and_says_so(admin: Client) -> None:
    tenant = create_tenant(name="Mover")
    ended = Subscription.objects.get(tenant_id=tenant.id).id
    plans.change(tenant.id, plans.newest("pro"))
    page = act(admin, "subscription", "change_plan", ended, version=plans.newest("free").id, reason="asked for")
    assert "This subscription has ended" in page
    assert plans.subscription_of(tenant.id).version.plan.slug == "pro"


def test_a_request_of_a_tenant_on_no_plan_is_refused_by_name(admin: Client) -> None:
    tenant = tenant_with()
    wanted = PlanRequest.objects.create(tenant_id=tenant, plan=Plan.objects.get(slug="pro"), asked_by="ada@example.org")
    try:
        assert "is on no plan" in act(admin, "planrequest", "approve", wanted.id, reason="paid")
        wanted.refresh_from_db()
        assert wanted.outcome == "open"
    finally:
        wanted.delete()


def test_staff_refund_in_the_admin(admin: Client) -> None:
    tenant, owner = tenant_with(10), new_id()
    ledger.hold(tenant, owner, 8)
    ledger.settle(tenant, owner, charge=8)
    act(admin, "hold", "refund", Hold.objects.get(owner_id=owner).id, amount=3, reason="blurred")
    assert purse(tenant) == Purse(5, 0)


def test_staff_move_a_tenant_and_publish_a_version_in_the_admin(admin: Client) -> None:
    tenant = create_tenant(name="Mover")
    before = plans.newest("pro")
    fields = {name: value for name, value in plans.Limits.of(before).as_dict().items() if value is not None}
    fields |= {"plan": before.plan_id, "max_steps": 77, "moderation_options": "{}"}
    answer = admin.post("/admin/billing/planversion/add/", fields)
    assert (answer.status_code, plans.newest("pro").id) == (200, before.id), "it needs a reason"
    answer = admin.post("/admin/billing/planversion/add/", {**fields, "reason": "longer drawings"})
    assert answer.status_code == 302, answer.content
    after = plans.newest("pro")
    try:
        assert (after.number, after.max_steps) == (before.number + 1, 77)
        record = AuditRecord.objects.filter(action="plan.published").latest("at")
        assert (record.details["version"], record.details["reason"]) == (after.number, "longer drawings")
        assert admin.get(f"/admin/billing/planversion/{after.id}/change/").status_code == 200
        subscription = Subscription.objects.get(tenant_id=tenant.id)
        act(admin, "subscription", "change_plan", subscription.id, version=after.id, reason="asked for")
        assert plans.limits_of(tenant.id).max_steps == 77
    finally:
        plans.publish(after.plan, max_steps=before.max_steps)  # other tests read the newest one


def test_a_version_begins_with_the_values_of_the_newest_one_of_its_plan(admin: Client) -> None:
    newest = plans.newest("pro")
    page = admin.get(f"/admin/billing/planversion/add/?plan={newest.plan_id}").content.decode()
    assert f'value="{newest.monthly_credits}"' in page
    for plan in ("x", "", new_id()):
        assert admin.get(f"/admin/billing/planversion/add/?plan={plan}").status_code == 200


def test_a_plan_keeps_the_name_that_settings_know_it_by(admin: Client) -> None:
    plan = Plan.objects.create(slug=f"own-{new_id().hex}", name="Own", offered=False)
    admin.post(f"/admin/billing/plan/{plan.id}/change/", {"slug": "other", "name": "Renamed", "rank": 7})
    plan.refresh_from_db()
    assert (plan.slug[:4], plan.name) == ("own-", "Renamed")
    assert 'name="slug"' in admin.get("/admin/billing/plan/add/").content.decode()


@pytest.mark.parametrize(
    "page", ["wallet", "hold", "subscription", "plan", "planversion", "entry", "lot", "usage", "alert", "auditrecord"]
)
def test_every_list_opens_and_its_rows_cannot_be_edited(admin: Client, page: str) -> None:
    staff.grant(tenant_with(10), 1, reason="gift", actor=GRACE)
    app = "tenants" if page == "auditrecord" else "billing"
    assert admin.get(f"/admin/{app}/{page}/").status_code == 200
    if page not in {"plan", "planversion"}:
        assert admin.get(f"/admin/{app}/{page}/add/").status_code == 403
    assert NOBODY not in set(PlanVersion.objects.values_list("id", flat=True))
