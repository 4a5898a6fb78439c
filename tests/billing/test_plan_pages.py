"""Plan and limits in the console: what is shown, who decides on another plan, and caps that bite."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core import mail
from django.db import ProgrammingError
from django.test import Client, override_settings

from billing import ledger, plan_requests, plans, staff, standing
from billing.models import NOBODY, Allowance, Plan, PlanRequest, Subscription
from easel import clock
from easel.database import platform_role
from easel.identifiers import new_id
from tenants import audit
from tenants.audit import Actor
from tenants.models import AuditRecord
from tenants.scope import tenant_scope
from tests.cast import Customer, make_customer
from tests.counting import queries
from tests.tenants.people import let_in, person

GRACE = Actor(kind=AuditRecord.Actor.STAFF, name="grace@easel.local")


@pytest.fixture
def cara() -> Customer:
    return make_customer("Cara", plan="pro")


@pytest.fixture
def owner(cara: Customer) -> Client:
    return let_in(person(cara.tenant))


def plan_of(customer: Customer) -> str:
    with platform_role():
        return plans.subscription_of(customer.id).version.plan.slug


def offers_of(customer: Customer, plan: Plan) -> list[standing.Offer]:
    return [each for each in standing.offers(standing.of(customer.id)) if each.slug == plan.slug]


@pytest.fixture
def club() -> Iterator[Plan]:
    """A plan that gives more than any other, offered as long as the test."""
    with platform_role():
        plan = Plan.objects.create(slug=f"club-{new_id().hex}", name="Club", rank=9)
        plans.publish(plan, **{**plans.Limits.of(plans.newest("business")).as_dict(), "monthly_credits": 10**6})
    yield plan
    with platform_role():
        Plan.objects.filter(id=plan.id).update(offered=False)


def request_of(customer: Customer) -> PlanRequest:
    with platform_role():
        found: PlanRequest = PlanRequest.objects.filter(tenant=customer.tenant).latest("id")
    return found


def test_the_page_tells_what_the_plan_gives_and_what_is_used(owner: Client) -> None:
    text = owner.get("/console/plan").content.decode()
    for said in ("50,000", "300,000", "Free", "Pro", "Business", "Change to Business", "yours"):
        assert said in text.replace("\xa0", ","), said
    assert "Change to Pro" not in text


def test_a_larger_plan_waits_for_staff(cara: Customer, owner: Client) -> None:
    owner.post("/console/plan/ask", {"plan": "business"})
    clock.perform("answer_plan_requests")
    assert plan_of(cara) == "pro"
    assert "A change of plan is asked for" in owner.get("/console/plan").content.decode()
    with platform_role():
        assert plan_requests.approve(request_of(cara).id, reason="paid", actor=GRACE)
        assert not plan_requests.approve(request_of(cara).id, reason="twice", actor=GRACE)
        records = AuditRecord.objects.filter(tenant=cara.tenant, action__startswith="plan.").order_by("sequence")
        assert [record.action for record in records] == ["plan.asked", "plan.changed"]
        assert audit.first_break(cara.id) is None
    assert plan_of(cara) == "business"


def test_a_smaller_plan_begins_by_itself(cara: Customer, owner: Client) -> None:
    owner.post("/console/plan/ask", {"plan": "free"})
    clock.perform("answer_plan_requests")
    assert plan_of(cara) == "free"
    assert request_of(cara).outcome == "done"


def test_with_self_service_every_plan_does(cara: Customer, owner: Client) -> None:
    owner.post("/console/plan/ask", {"plan": "business"})
    with override_settings(PLAN_CHANGES="self-service"):
        clock.perform("answer_plan_requests")
    assert plan_of(cara) == "business"


def test_what_staff_did_is_not_undone_by_what_was_asked_for_before(cara: Customer, owner: Client, club: Plan) -> None:
    owner.post("/console/plan/ask", {"plan": "business"})
    with platform_role():
        staff.change_plan(cara.id, plans.newest(club.slug), reason="a contract", actor=GRACE)
    clock.perform("answer_plan_requests")
    assert plan_of(cara) == club.slug
    assert request_of(cara).outcome == "declined"
    assert "Moved to Club instead. a contract" in owner.get("/console/plan").content.decode()
    with platform_role():
        records = AuditRecord.objects.filter(tenant=cara.tenant, action__startswith="plan.").order_by("sequence")
        assert [record.action for record in records] == ["plan.asked", "plan.declined", "plan.changed"]


def test_a_request_is_done_when_staff_move_the_tenant_to_that_plan(cara: Customer, owner: Client) -> None:
    owner.post("/console/plan/ask", {"plan": "business"})
    with platform_role():
        staff.change_plan(cara.id, plans.newest("business"), reason="paid", actor=GRACE)
    assert (request_of(cara).outcome, request_of(cara).reason) == ("done", "paid")


@pytest.mark.parametrize("who_decides", ["staff", "self-service"])
def test_what_was_asked_for_under_another_plan_waits_for_staff(
    cara: Customer, owner: Client, club: Plan, who_decides: str
) -> None:
    owner.post("/console/plan/ask", {"plan": "business"})
    with platform_role():
        plans.change(cara.id, plans.newest(club.slug))
    with override_settings(PLAN_CHANGES=who_decides):
        clock.perform("answer_plan_requests")
    assert plan_of(cara) == club.slug
    assert request_of(cara).outcome == "open"


def test_a_smaller_plan_does_not_wait_behind_larger_ones(
    cara: Customer, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_requests, "BATCH", 1)
    dora = make_customer("Dora", plan="pro")
    let_in(person(dora.tenant)).post("/console/plan/ask", {"plan": "business"})
    owner.post("/console/plan/ask", {"plan": "free"})
    for _ in range(3):
        clock.perform("answer_plan_requests")
    assert (plan_of(dora), plan_of(cara)) == ("pro", "free")


def test_a_request_that_cannot_be_done_keeps_no_others_back(cara: Customer, owner: Client) -> None:
    dora = make_customer("Dora", plan="pro")
    let_in(person(dora.tenant)).post("/console/plan/ask", {"plan": "business"})
    with platform_role():
        Subscription.objects.filter(tenant=dora.tenant, ended_at=None).update(ended_at=datetime.now(UTC))
    owner.post("/console/plan/ask", {"plan": "business"})
    with override_settings(PLAN_CHANGES="self-service"):
        clock.perform("answer_plan_requests")
    assert plan_of(cara) == "business"
    assert request_of(dora).outcome == "open"


def test_a_request_is_taken_back_or_replaced(cara: Customer, owner: Client) -> None:
    owner.post("/console/plan/ask", {"plan": "business"})
    owner.post("/console/plan/ask", {"plan": "free"})
    with platform_role():
        assert PlanRequest.objects.filter(tenant=cara.tenant).count() == 1
    owner.post("/console/plan/withdraw")
    clock.perform("answer_plan_requests")
    assert plan_of(cara) == "pro"


def test_staff_decline_with_a_reason(cara: Customer, owner: Client) -> None:
    owner.post("/console/plan/ask", {"plan": "business"})
    with platform_role():
        with pytest.raises(ValueError, match="Say why"):
            plan_requests.decline(request_of(cara).id, reason=" ", actor=GRACE)
        assert plan_requests.decline(request_of(cara).id, reason="unpaid bills", actor=GRACE)
    assert request_of(cara).outcome == "declined"
    assert plan_of(cara) == "pro"


@override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend")
def test_who_asked_is_told_why_a_plan_was_declined(cara: Customer) -> None:
    mail.outbox = []
    asking = person(cara.tenant)
    owner = let_in(asking)
    owner.post("/console/plan/ask", {"plan": "business"})
    with platform_role():
        plan_requests.decline(request_of(cara).id, reason="unpaid bills", actor=GRACE)
    (letter,) = [each for each in mail.outbox if each.to == [asking.email]]
    assert "Business" in letter.subject
    assert "unpaid bills" in letter.body
    page = owner.get("/console/plan").content.decode()
    assert "A change of plan was declined" in page
    assert "unpaid bills" in page
    owner.post("/console/plan/ask", {"plan": "free"})
    assert "unpaid bills" not in owner.get("/console/plan").content.decode()


def test_a_plan_without_a_version_cannot_be_asked_for(owner: Client) -> None:
    with platform_role():
        plan = Plan.objects.create(slug=f"bare-{new_id().hex}", name="Bare")
    try:
        assert owner.post("/console/plan/ask", {"plan": plan.slug}).status_code == 404
    finally:
        with platform_role():
            plan.delete()


def test_the_page_shows_the_version_that_one_is_on_and_offers_a_newer_one(club: Plan) -> None:
    member = make_customer("Member", plan=club.slug)
    owner = let_in(person(member.tenant))
    assert "new version" not in owner.get("/console/plan").content.decode()
    with platform_role():
        plans.publish(club)
        assert [each.own for each in offers_of(member, club)] == [True], "it gives nothing else"
        plans.publish(club, max_steps=151)
        assert [(each.own, each.limits.max_steps) for each in offers_of(member, club)] == [(True, 150), (False, 151)]
    page = owner.get("/console/plan").content.decode()
    assert "Change to the new version of Club" in page
    owner.post("/console/plan/ask", {"plan": club.slug})
    clock.perform("answer_plan_requests")
    with platform_role():
        assert plans.limits_of(member.id).max_steps == 151
        assert [each.own for each in offers_of(member, club)] == [True]


@pytest.mark.parametrize("plan", ["suite", "nonsense", "", "a\0b"])
def test_only_offered_plans_can_be_asked_for(owner: Client, plan: str) -> None:
    assert owner.post("/console/plan/ask", {"plan": plan}).status_code == 404


def test_the_web_cannot_answer_its_own_request(cara: Customer, owner: Client) -> None:
    owner.post("/console/plan/ask", {"plan": "business"})
    with pytest.raises(ProgrammingError, match="permission denied"), tenant_scope(cara.id):
        PlanRequest.objects.filter(outcome="open").update(outcome="done")


# --- Limits --------------------------------------------------------------------------------------------------


def cap(whose: str, **fields: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("spend_cap", "generations_per_day", "generations_per_month", "requests_per_minute"), "")
    return {f"{whose}-{name}": value for name, value in {**empty, **fields}.items()}


def allowance(customer: Customer, **conditions: Any) -> Allowance:
    with platform_role():
        found: Allowance = Allowance.objects.get(tenant=customer.tenant, **conditions)
    return found


def test_a_cap_of_the_account_and_of_a_key_are_set_and_lifted(cara: Customer, owner: Client) -> None:
    public_id = cara.key.public_id
    owner.post("/console/limits/account", cap("account", spend_cap=500))
    owner.post(f"/console/limits/{public_id}", cap(public_id, generations_per_day=7))
    assert allowance(cara, key_id=cara.key.id).generations_per_day == 7
    text = owner.get("/console/limits").content.decode()
    assert 'value="500"' in text
    assert 'value="7"' in text
    owner.post("/console/limits/account", cap("account"))
    assert allowance(cara, key_id=NOBODY).spend_cap is None


@pytest.mark.parametrize("value", ["-1", "x", "99999999999"])
def test_a_bad_limit_is_said_so_and_changes_nothing(cara: Customer, owner: Client, value: str) -> None:
    answer = owner.post("/console/limits/account", cap("account", spend_cap=value))
    assert answer.status_code == 200
    assert b'aria-invalid="true"' in answer.content
    with platform_role():
        assert not Allowance.objects.filter(tenant=cara.tenant).exists()


def test_a_cap_of_staff_stands_beside_ones_own_and_the_lower_counts(cara: Customer, owner: Client) -> None:
    owner.post("/console/limits/account", cap("account", spend_cap=500))
    with platform_role():
        staff.cap_spending(cara.id, 1_700, reason="risk", actor=GRACE)
    text = owner.get("/console/limits").content.decode()
    assert "staff have set a spend cap of 1,700 credits" in text
    assert ('value="500"' in text, "0 of 500" in text) == (True, True)
    owner.post("/console/limits/account", cap("account", spend_cap=10**6))
    found = allowance(cara, key_id=NOBODY)
    assert (found.spend_cap, found.staff_cap, found.cap) == (10**6, 1_700, 1_700)
    assert "0 of 1,700" in owner.get("/console/limits").content.decode()
    with tenant_scope(cara.id):
        assert standing.of(cara.id).spend_cap == 1_700
    owner.post("/console/limits/account", cap("account"))
    assert allowance(cara, key_id=NOBODY).cap == 1_700, "an empty field lifts one's own"


def test_the_meters_of_caps_count_what_is_held_as_the_caps_do(cara: Customer, owner: Client) -> None:
    public_id = cara.key.public_id
    owner.post("/console/limits/account", cap("account", spend_cap=500))
    owner.post(f"/console/limits/{public_id}", cap(public_id, spend_cap=200))
    with platform_role():
        ledger.hold(cara.id, new_id(), 40, key_id=cara.key.id)
        ledger.hold(cara.id, new_id(), 60, key_id=new_id())
    text = owner.get("/console/limits").content.decode()
    assert ("100 of 500" in text, "40 of 200" in text) == (True, True)


def test_the_standing_is_one_statement(cara: Customer) -> None:
    with tenant_scope(cara.id), queries() as statements:
        stands = standing.of(cara.id)
    assert len(statements) == 1
    assert (stands.slug, stands.per_day) == ("pro", 20_000)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    yield
    with platform_role():
        PlanRequest.objects.filter(outcome="open").delete()
