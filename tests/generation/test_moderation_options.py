"""What a plan lets a tenant's moderation policy do, seen by a tenant that has it and by one that has not."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from billing import plans
from billing.models import Plan
from easel.database import platform_role
from generation.production import Production
from moderation import policy
from moderation.models import Case
from tests.cast import Customer, make_customer
from tests.generation.conftest import Workshop, ended, make_production, row
from tests.generation.decided import decide
from tests.generation.test_moderated_words import BLOCKED, post
from tests.moderation.scripted import ScriptedJudge
from tests.stub_engine import StubEngine

URL = "/v1/moderation-policy"
ASKED = {"review_instead_of_block": True}
MINORS = "an erotic picture of a child"


@pytest.fixture
def business() -> Customer:
    return make_customer("business", plan="business")


@pytest.fixture
def free() -> Customer:
    return make_customer("free", plan="free")


@pytest.fixture
def drawing() -> Iterator[Production]:
    production = make_production(StubEngine(step_seconds=0), judge=ScriptedJudge())
    yield production
    production.close()


def wish(customer: Customer, **asked: Any) -> Any:
    return customer.client().patch(URL, asked, format="json")


def move(customer: Customer, plan: str) -> None:
    with platform_role():
        plans.change(customer.id, plans.newest(plan))
    policy.forget()


def test_a_plan_with_it_has_blocked_words_drawn_and_decided_by_staff(
    business: Customer, workshop: Workshop, drawing: Production
) -> None:
    assert post(business, workshop, BLOCKED).status_code == 422, "until it is asked for"
    told = wish(business, **ASKED).json()
    assert (told["review_instead_of_block"], told["effective"]["review_instead_of_block"]) == (True, True)
    generation = post(business, workshop, BLOCKED).json()["id"]
    assert row(generation).screened == "review"
    drawing.drain(workshop.pool)
    assert ended(generation).status == "in_review"
    assert business.client().get(f"/v1/generations/result/{generation}").json()["images"] == []
    with platform_role():
        assert Case.objects.filter(generation_id=generation, kind="held", status="open").count() == 1
    decide(business, approved=True)
    assert ended(generation).status == "completed"


def test_nothing_opens_a_way_for_what_concerns_minors(business: Customer, workshop: Workshop) -> None:
    wish(business, **ASKED)
    answer = post(business, workshop, MINORS)
    assert (answer.status_code, answer.json()["category"]) == (422, "sexual/minors")


def test_what_the_tenant_itself_blocks_stays_blocked(business: Customer, workshop: Workshop) -> None:
    wish(business, **ASKED, categories={"sexual": "block"}, terms=["blue teapot"])
    assert post(business, workshop, BLOCKED).status_code == 422
    assert post(business, workshop, "a blue teapot").json()["category"] == "own"


def test_a_plan_without_it_refuses_the_wish_and_changes_nothing(free: Customer, workshop: Workshop) -> None:
    for asked in (ASKED, {"terms": ["blue teapot"]}):
        answer = wish(free, **asked, visible_mark=True)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "above_plan")
    told = free.client().get(URL).json()
    assert (told["review_instead_of_block"], told["terms"], told["visible_mark"]) == (False, [], False)
    assert told["plan_allows"] == {"own_word_lists": False, "review_instead_of_block": False}
    assert post(free, workshop, BLOCKED).status_code == 422


def test_whoever_moves_to_a_smaller_plan_loses_the_milder_half_and_keeps_its_words(
    business: Customer, workshop: Workshop
) -> None:
    wish(business, **ASKED, terms=["blue teapot", "green teapot"])
    move(business, "free")
    told = business.client().get(URL).json()
    assert (told["review_instead_of_block"], told["effective"]["review_instead_of_block"]) == (True, False)
    assert post(business, workshop, BLOCKED).status_code == 422
    assert post(business, workshop, "a blue teapot").status_code == 422
    assert wish(business, terms=["blue teapot", "red teapot"]).status_code == 400
    assert wish(business, terms=["blue teapot"]).json()["terms"] == ["blue teapot"], "taken back under any plan"
    move(business, "business")
    assert post(business, workshop, BLOCKED).status_code == 202


def test_a_wish_that_is_only_tried_lets_nothing_through(business: Customer, workshop: Workshop) -> None:
    wish(business, **ASKED, shadow=True)
    assert post(business, workshop, BLOCKED).status_code == 422


@pytest.mark.parametrize("options", [{"own_wordlists": True}, {"own_word_lists": "yes"}, []], ids=str)
def test_a_plan_with_options_that_nothing_knows_is_not_published(options: Any) -> None:
    with platform_role():
        pro = Plan.objects.get(slug="pro")
        before = plans.newest("pro").number
        with pytest.raises(ValidationError):
            plans.publish(pro, moderation_options=options)
        assert plans.newest("pro").number == before
