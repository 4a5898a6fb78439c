"""What the text layers say of a prompt, and how cases are handed to moderators."""

from uuid import uuid4

import pytest
from django.test import override_settings

from easel.database import platform_role
from easel.embedded.stack import Stack
from moderation import cases, policy, prompts
from moderation.cases import Opening, Wanted
from moderation.findings import Finding
from moderation.models import Case, Policy
from moderation.screening import client
from tests.cast import Customer


def judged(customer: Customer, prompt: str) -> tuple[str, str]:
    with platform_role():
        effective = policy.effective(customer.id, None)
    judgment = prompts.judge(prompt, "", effective)
    return judgment.action, judgment.category


def open_cases(customer: Customer, count: int) -> None:
    for number in range(count):
        finding = Finding(layer="keywords", category="hate", score=1.0, action="review", rule=f"term {number}")
        opening = Opening(tenant_id=customer.id, generation_id=uuid4(), kind="held", finding=finding)
        assert cases.open_case(opening)


def test_two_moderators_never_hold_the_same_case(ada: Customer) -> None:
    wanted = Wanted(tenant=str(ada.id))
    with platform_role():
        open_cases(ada, 8)
        first = {case.id for case in cases.claim("one@example.org", wanted, limit=5)}
        second = {case.id for case in cases.claim("two@example.org", wanted, limit=5)}
        assert (len(first), len(second)) == (5, 3)
        assert not first & second
        assert cases.decide(next(iter(first)), who="two@example.org", approved=True, reason="harmless") == []


def test_a_decision_is_taken_back_and_the_case_is_the_moderators_again(ada: Customer) -> None:
    wanted = Wanted(tenant=str(ada.id))
    with platform_role():
        open_cases(ada, 1)
        (case,) = cases.claim("one@example.org", wanted, limit=5)
        assert cases.decide(case.id, who="one@example.org", approved=False, reason="policy") == [case.id]
        assert cases.undo([case.id], who="two@example.org") == []
        assert cases.undo([case.id], who="one@example.org") == [case.id]
        kept = Case.objects.get(id=case.id)
        assert (kept.status, kept.decision, kept.claimed_by) == ("open", "", "one@example.org")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a red apple on a table", ("allow", "")),
        ("portrait of Taylor Swift in a garden", ("review", "public-figures")),
        ("hardcore pornography, two nude adults", ("block", "sexual")),
        ("h a r d c o r e p0rn0graphy, two nude adults", ("block", "sexual")),
    ],
)
def test_a_prompt_is_allowed_reviewed_or_blocked(ada: Customer, prompt: str, expected: tuple[str, str]) -> None:
    assert judged(ada, prompt) == expected


@pytest.mark.parametrize(("region", "action"), [("", "allow"), ("DE", "allow"), ("CN", "review")])
def test_political_prompts_wait_for_staff_where_the_region_says_so(ada: Customer, region: str, action: str) -> None:
    with override_settings(REGION=region):
        policy.forget()
        assert judged(ada, "a rally where a crowd demands that the government resigns, protest banners")[0] == action
    policy.forget()


def test_a_version_of_the_policy_decides_otherwise_than_the_region(ada: Customer) -> None:
    with override_settings(REGION="CN"), platform_role():
        latest = policy.platform()[0]
        Policy.objects.create(
            version=latest + 1, categories={"political": policy.DEFAULT["political"]}, shadow=False, note="",
            created_by="ada",
        )  # fmt: skip
        try:
            policy.forget()
            assert policy.effective(ada.id, None).text("political", 1.0) == "allow"
        finally:
            Policy.objects.filter(version=latest + 1).delete()
            policy.forget()


def test_a_prompt_that_the_classifier_cannot_see_is_for_review(ada: Customer, stack: Stack) -> None:
    stack.halt("screening")
    try:
        client.forget()
        assert judged(ada, "a teapot that nobody has judged before") == ("review", "unscreened")
    finally:
        stack.start("screening")
        client.forget()
