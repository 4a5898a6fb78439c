"""Plan and limits in the console: what is shown, who decides on another plan, and caps that bite."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import ProgrammingError
from django.test import Client, override_settings

from billing import plan_requests, plans, staff, standing
from billing.models import NOBODY, Allowance, PlanRequest
from easel import clock
from easel.database import platform_role
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


def test_a_cap_that_staff_have_set_stays(cara: Customer, owner: Client) -> None:
    with platform_role():
        staff.cap_spending(cara.id, 100, reason="risk", actor=GRACE)
    answer = owner.post("/console/limits/account", cap("account", spend_cap=10**6))
    assert b"staff have set this spend cap" in answer.content
    fields = {name: value for name, value in cap("account", generations_per_day=3).items() if "spend_cap" not in name}
    owner.post("/console/limits/account", fields)
    found = allowance(cara, cap_is_staffs=True)
    assert (found.spend_cap, found.generations_per_day) == (100, 3)


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
