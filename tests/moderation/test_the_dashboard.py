"""Who may see the moderators' pages, and what they do: rules, policy, figures, pictures."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.test import Client, override_settings
from PIL import Image as PILImage

from easel.database import changed, platform_role
from easel.identifiers import new_id
from moderation import applying, cases, policy, prompts, statistics
from moderation.models import Case, Policy, Rule
from moderation.policy_editor import BOUNDS
from moderation.staff import ROLE
from tenants.models import AuditRecord, User
from tests.cast import Customer
from tests.moderation.subjects import MadeUp, made_up, open_cases

PAGES = ["", "statistics", "rules", "policy"]


@pytest.fixture(autouse=True)
def _staff_port() -> Iterator[None]:
    staff = override_settings(ROOT_URLCONF="easel.staff_urls", DATABASE_ALIAS="platform", STAFF_SECOND_FACTOR=False)
    with staff, platform_role():
        yield


@pytest.fixture(autouse=True)
def subjects() -> Iterator[MadeUp]:
    with made_up() as known:
        yield known


def signed_in(*, role: bool = True, staff: bool = True) -> Client:
    user = User.objects.create_user(f"mod-{new_id().hex[-8:]}@easel.local", "correct horse battery", is_staff=staff)
    if role:
        user.groups.add(Group.objects.get_or_create(name=ROLE)[0])
    client = Client(headers={"accept": "text/html"})
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def moderator() -> Client:
    return signed_in()


def email_of(client: Client) -> str:
    return str(User.objects.get(id=client.session["_auth_user_id"]).email)


def trail(action: str) -> list[AuditRecord]:
    return list(AuditRecord.objects.filter(action=action).order_by("-sequence"))


# --- Who -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_only_moderators_get_in(page: str, moderator: Client) -> None:
    assert moderator.get(f"/moderation/{page}").status_code == 200
    assert signed_in(role=False).get(f"/moderation/{page}").status_code == 403
    for stranger in (Client(), signed_in(staff=False)):
        assert stranger.get(f"/moderation/{page}").status_code in {302, 403}
    with override_settings(STAFF_SECOND_FACTOR=True):
        answer = moderator.get(f"/moderation/{page}")
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/second-factor")


def test_deeds_need_the_role_and_the_second_factor_too(ada: Customer, moderator: Client) -> None:
    (case_id,) = open_cases(ada, 1)
    for path in ("batch", "undo", "keep", "give-back", *(f"cases/{case_id}/{deed}" for deed in ("decide", "note"))):
        assert signed_in(role=False).post(f"/moderation/{path}").status_code == 403
        with override_settings(STAFF_SECOND_FACTOR=True):
            assert moderator.post(f"/moderation/{path}", {"decision": "approve"}).status_code == 403
    assert Case.objects.get(id=case_id).status == "open"


# --- The queue ---------------------------------------------------------------------------------------------------


def claimed(client: Client, customer: Customer, **wanted: object) -> str:
    answer = client.post("/moderation/batch", {"tenant": str(customer.id), **wanted})
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_filters_ask_for_category_kind_layer_score_age_and_escalation(ada: Customer, moderator: Client) -> None:
    (violent,), (hateful,) = open_cases(ada, 1), open_cases(ada, 1, category="hate", kind="complaint")
    changed("UPDATE moderation_case SET score = 0.95, created_at = now() - interval '1 hour', escalated = true, "
            "layer = 'hash' WHERE id = %s", [hateful])  # fmt: skip
    for wanted in (
        {"category": "hate"}, {"kind": "complaint"}, {"layer": "hash"}, {"score": "0.9"}, {"age": "30"},
        {"escalated": "1"},
    ):  # fmt: skip
        text = claimed(moderator, ada, **wanted)
        assert (str(hateful) in text, str(violent) in text) == (True, False), wanted
        moderator.post("/moderation/give-back")
    assert 'data-waiting="2"' in claimed(moderator, ada, score="nonsense")


def test_a_prompt_is_shown_with_what_terms_matched_and_nothing_in_it_is_markup(
    ada: Customer, moderator: Client, subjects: MadeUp
) -> None:
    subjects.prompt = "portrait of Taylor Swift <script>alert(1)</script>"
    open_cases(ada, 1)
    text = claimed(moderator, ada)
    assert "<mark>Taylor Swift</mark>" in text
    assert "<script>" not in text


def test_a_clear_picture_goes_to_whoever_holds_the_case_and_is_on_record(ada: Customer, moderator: Client) -> None:
    (case_id,) = open_cases(ada, 1)
    clear = f"/moderation/cases/{case_id}/picture?clear=1"
    assert moderator.get(clear).status_code == 403
    claimed(moderator, ada)
    answer = moderator.get(clear)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert answer["Cache-Control"] == "private, no-store"
    (record,) = AuditRecord.objects.filter(tenant_id=ada.id, action="moderation.picture_sent")
    assert (record.actor, record.object_id) == (email_of(moderator), str(case_id))
    assert signed_in().get(clear).status_code == 403
    blurred = signed_in().get(f"/moderation/cases/{case_id}/picture")
    assert (blurred.status_code, blurred["Content-Type"]) == (200, "image/jpeg")
    assert (
        max(PILImage.open(io.BytesIO(blurred.content)).size)
        <= 192
        < max(PILImage.open(io.BytesIO(answer.content)).size)
    )


def test_a_claim_is_kept_while_it_is_worked_on_and_lost_when_time_is_up(ada: Customer, moderator: Client) -> None:
    (case_id,) = open_cases(ada, 1)
    claimed(moderator, ada)
    asked = {"cases": f'["{case_id}", "no id"]'}
    assert moderator.post("/moderation/keep", asked).json() == {"held": []}, "a list with anything else in it is none"
    asked = {"cases": f'["{case_id}"]'}
    assert moderator.post("/moderation/keep", asked).json() == {"held": [str(case_id)]}
    changed("UPDATE moderation_case SET claimed_until = now() WHERE id = %s", [case_id])
    other = signed_in()
    assert str(case_id) in claimed(other, ada)
    assert moderator.post("/moderation/keep", asked).json() == {"held": []}
    lost: HttpResponse = moderator.post(f"/moderation/cases/{case_id}/decide", {"decision": "approve"})
    assert lost.status_code == 409


@contextmanager
def alone(client: Client) -> Iterator[None]:
    """Nobody else is a moderator."""
    others = list(User.objects.filter(is_staff=True, is_active=True).exclude(email=email_of(client)))
    User.objects.filter(id__in=[each.id for each in others]).update(is_active=False)
    try:
        yield
    finally:
        User.objects.filter(id__in=[each.id for each in others]).update(is_active=True)


def test_who_has_no_colleague_keeps_a_case_that_they_would_escalate(ada: Customer, moderator: Client) -> None:
    (case_id,) = open_cases(ada, 1)
    claimed(moderator, ada)
    with alone(moderator):
        answer = moderator.post(f"/moderation/cases/{case_id}/escalate")
        assert (answer.status_code, "no other moderator" in answer.json()["detail"]) == (409, True)
        assert str(case_id) in claimed(moderator, ada)
        with override_settings(SECOND_OPINION_PERCENT=100):
            moderator.post(f"/moderation/cases/{case_id}/decide", {"decision": "approve"})
            applying.apply_due(seconds=0)
    assert not Case.objects.filter(tenant_id=ada.id, kind="second").exists(), "nobody could give it"
    colleague = signed_in()
    (other,) = open_cases(ada, 1)
    claimed(moderator, ada)
    assert moderator.post(f"/moderation/cases/{other}/escalate").status_code == 200
    assert 'data-waiting="0"' in claimed(moderator, ada), "it waits for somebody else"
    assert str(other) in claimed(colleague, ada)


def test_a_second_opinion_knows_nothing_of_the_first_and_stays_with_whom_it_was_asked_of(
    ada: Customer, moderator: Client
) -> None:
    colleague = signed_in()
    open_cases(ada, 1)
    open_cases(ada, 1, kind="complaint")
    with override_settings(SECOND_OPINION_PERCENT=100):
        for case in cases.claim(email_of(colleague), cases.Wanted(tenant=str(ada.id)), limit=9):
            cases.decide(case.id, who=email_of(colleague), approved=False, reason="policy")
        applying.apply_due(seconds=0)
    (second,) = Case.objects.filter(tenant_id=ada.id, kind="second")
    assert Case.objects.get(id=second.opinion_on).kind == "held", "of a complaint the words are missing"
    text = claimed(moderator, ada)
    assert str(second.id) in text
    assert "1 rejected, 0 approved" in text, "that of the complaint"
    assert text.count('<li class="reject"') == 1
    answer = moderator.post(f"/moderation/cases/{second.id}/escalate")
    assert (answer.status_code, "nobody else" in answer.json()["detail"]) == (409, True)
    assert str(second.id) not in claimed(colleague, ada)


# --- Rules -------------------------------------------------------------------------------------------------------


def rule(moderator: Client, act: str, **form: object) -> HttpResponse:
    answer: HttpResponse = moderator.post("/moderation/rules", {"act": act, **form})
    return answer


def test_a_term_is_tried_out_against_the_last_prompts_before_it_counts(moderator: Client, subjects: MadeUp) -> None:
    term = f"wug{new_id().hex[-6:]}"
    subjects.last = [f"a {term} at noon", "a harbor", f"{term.upper()} of Taylor Swift"]
    form = {"term": term, "kind": "flag", "category": "hate"}
    text = rule(moderator, "try", **form).content.decode()
    assert f"<mark>{term}</mark>" in text
    assert not Rule.objects.filter(term=term).exists()

    assert rule(moderator, "add", **form).status_code == 302
    made = Rule.objects.get(term=term)
    assert (made.live, made.tried_looked, made.tried_matched) == (False, 3, 2)
    assert not [hit for hit in prompts.hits_in(f"a {term}") if hit.term == term]

    assert rule(moderator, "on", rule=made.id).status_code == 302
    assert [hit.group for hit in prompts.hits_in(f"a {term}") if hit.term == term] == ["hate"]
    assert rule(moderator, "remove", rule=made.id).status_code == 400, "it counts"
    rule(moderator, "off", rule=made.id)
    rule(moderator, "remove", rule=made.id)
    assert not Rule.objects.filter(term=term).exists()
    acts = AuditRecord.objects.filter(object_id=str(made.id)).order_by("sequence").values_list("action", flat=True)
    assert list(acts) == [f"moderation.rule_{each}" for each in ("added", "switched", "switched", "removed")]


def test_a_rule_that_was_never_tried_out_cannot_be_switched_on(moderator: Client) -> None:
    made = Rule.objects.create(category="hate", term=f"wug{new_id().hex[-6:]}")
    assert "Try the rule out" in rule(moderator, "on", rule=made.id).content.decode()
    assert not Rule.objects.get(id=made.id).live


@pytest.mark.parametrize(
    "form",
    [
        {"act": "add", "term": "x", "category": "hate"},
        {"act": "add", "term": "word", "category": "boredom"},
        {"act": "try", "term": "word", "kind": "wish"},
        {"act": "on", "rule": "no id"},
        {"act": "on", "rule": "00000000-0000-7000-8000-000000000000"},
        {"act": "dance"},
    ],
)
def test_a_wrong_form_is_told_what_is_wrong(moderator: Client, form: dict[str, str]) -> None:
    answer = moderator.post("/moderation/rules", form)
    text = answer.content.decode()
    assert answer.status_code == 400
    assert 'role="alert"' in text
    assert ("term" in form) == (f'name="term" value="{form.get("term")}"' in text)
    assert ("hate" in form.values()) == ('<option value="hate" selected>' in text)


# --- Policy ------------------------------------------------------------------------------------------------------


@pytest.fixture
def _as_it_was() -> Iterator[None]:
    before = set(Policy.objects.values_list("version", flat=True))
    yield
    Policy.objects.exclude(version__in=before).delete()
    policy.forget()


def draft(**changes: str) -> dict[str, str]:
    version, _, thresholds = policy.platform()
    form = {
        f"{category}.{bound}": "" if value >= policy.NEVER else str(value)
        for category, bounds in thresholds.items()
        for bound, value in bounds.items()
        if bound in BOUNDS
    }
    return {**form, "based_on": str(version), "note": "try", **changes}


@pytest.mark.usefixtures("_as_it_was")
def test_a_new_version_counts_at_once_and_says_who_changed_what(moderator: Client) -> None:
    before = policy.platform()[0]
    form = draft(**{"political.text_review": "0.5", "spam.image_review": ""})
    assert moderator.post("/moderation/policy", form).status_code == 302
    version, shadow, thresholds = policy.platform()
    assert (version, shadow, thresholds["political"]["text_review"]) == (before + 1, False, 0.5)
    assert thresholds["spam"]["image_review"] == policy.NEVER
    record = trail("moderation.policy_published")[0]
    assert (record.object_id, record.actor) == (str(version), email_of(moderator))
    assert record.details["changes"] == {"political.text_review": [2.0, 0.5], "spam.image_review": [0.6, 2.0]}
    assert moderator.post("/moderation/policy", draft(shadow="1")).status_code == 302
    assert policy.platform()[1]


@pytest.mark.usefixtures("_as_it_was")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"based_on": "999"}, "published meanwhile"),
        ({}, "Nothing is different"),
        ({"note": ""}, "different and why"),
        ({"hate.text_review": "1.5"}, "from 0 to 1"),
        ({"hate.text_review": "nan"}, "from 0 to 1"),
        ({"hate.text_review": "0.95"}, "would not be reviewed"),
        ({"sexual/minors.text_block": "0.9"}, "never raised"),
        ({"sexual/minors.image_block": ""}, "never raised"),
    ],
)
def test_a_draft_that_cannot_be_is_refused_with_what_was_typed(
    moderator: Client, changes: dict[str, str], said: str
) -> None:
    before = policy.platform()[0]
    answer = moderator.post("/moderation/policy", draft(**changes))
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert policy.platform()[0] == before


@pytest.mark.usefixtures("_as_it_was")
def test_sending_a_refused_draft_again_keeps_what_somebody_else_published(moderator: Client) -> None:
    mine = draft(**{"political.text_review": "0.5"})
    assert moderator.post("/moderation/policy", draft(**{"spam.image_review": "0.7"})).status_code == 302
    refused = moderator.post("/moderation/policy", mine)
    assert refused.status_code == 400
    fields = dict(re.findall(r'<input(?: type="hidden")? name="([^"]+)" value="([^"]*)"', refused.content.decode()))
    assert moderator.post("/moderation/policy", {**fields, "note": "again"}).status_code == 302
    _, _, thresholds = policy.platform()
    assert thresholds["political"]["text_review"] == 0.5
    assert thresholds["spam"]["image_review"] == 0.7


# --- Figures -----------------------------------------------------------------------------------------------------


def applied(customer: Customer, *, approved: bool, kind: str = "held") -> UUID:
    (case_id,) = open_cases(customer, 1, kind=kind)
    cases.claim("grace@easel.local", cases.Wanted(tenant=str(customer.id)), limit=9)
    cases.decide(case_id, who="grace@easel.local", approved=approved, reason="policy")
    applying.apply_due(seconds=0)
    return case_id


@pytest.mark.usefixtures("moderator")
def test_the_figures_are_those_of_the_cases(ada: Customer) -> None:
    before = statistics.figures()
    with override_settings(SECOND_OPINION_PERCENT=100):
        applied(ada, approved=True)
        applied(ada, approved=False)
    seconds = cases.claim("alan@easel.local", cases.Wanted(tenant=str(ada.id)), limit=9)
    assert {case.kind for case in seconds} == {"second"}
    with override_settings(SECOND_OPINION_PERCENT=0):
        for case in seconds:
            cases.decide(case.id, who="alan@easel.local", approved=True, reason="harmless")
        applying.apply_due(seconds=0)
        applied(ada, approved=True, kind="appeal")
    open_cases(ada, 2)
    after = statistics.figures()
    assert after["open"] - before["open"] == 2
    assert after["decided_last_hour"] - before["decided_last_hour"] == 5
    assert after["agreement"].whole - before["agreement"].whole == 2
    assert after["agreement"].part - before["agreement"].part == 1
    assert after["overturned"].part - before["overturned"].part == 1
    assert after["ages"][0] - before["ages"][0] == 2
    grace = next(person for person in after["people"] if person[0] == "grace@easel.local")
    assert grace[1] >= 3
    false_alarms = {rule: wrong for rule, _, _, wrong in after["rules"]}
    assert false_alarms["scorer 0"].part >= 1
