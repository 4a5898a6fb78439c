"""What moderation says of the words before anything is drawn."""

import io
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from PIL import Image as PILImage

from billing.models import Hold
from easel.database import changed, platform_role, rows
from generation.models import Image
from generation.production import Production
from moderation import policy
from moderation.models import Case, Pass, TenantPolicy, Verdict
from moderation.screening import client as screening
from tenants import webhooks
from tenants.models import WebhookDelivery, WebhookEvent
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, make_production, row
from tests.generation.decided import decide
from tests.generation.test_endings import flow, money
from tests.moderation.scripted import ScriptedJudge
from tests.stub_engine import StubEngine
from tests.tenants.people import let_in, person

BLOCKED = "hardcore pornography, two nude adults"
HELD = "portrait of Taylor Swift in a garden"


@pytest.fixture
def drawing() -> Iterator[Production]:
    production = make_production(StubEngine(step_seconds=0), judge=ScriptedJudge())
    yield production
    production.close()


def post(customer: Customer, workshop: Workshop, prompt: str, **fields: Any) -> Any:
    headers = fields.pop("headers", {})
    body = workshop.body(prompt=prompt, **fields)
    return customer.client().post("/v1/generations", body, format="json", headers=headers)


def test_a_blocked_prompt_is_kept_as_rejected_costs_nothing_and_is_told_by_its_category_alone(
    ada: Customer, workshop: Workshop
) -> None:
    before = money(ada)
    answer = post(ada, workshop, BLOCKED)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["category"]) == (422, "content_rejected", "sexual")
    assert "pornography" not in answer.content.decode()
    kept = ada.client().get(f"/v1/generations/{problem['generation_id']}").json()
    assert (kept["status"], kept["credits"], kept["images"]) == ("rejected", 0, [])
    assert kept["error"]["code"] == "content_rejected"
    assert money(ada) == before
    with platform_role():
        assert not Hold.objects.filter(tenant=ada.tenant).exists()
        verdicts = Verdict.objects.filter(generation_id=problem["generation_id"], action="block")
        assert {(each.layer, each.category) for each in verdicts} >= {("keywords", "sexual")}


def test_a_blocked_prompt_sent_again_under_its_idempotency_key_is_the_same_answer(
    ada: Customer, workshop: Workshop
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    first, second = (post(ada, workshop, BLOCKED, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (422, 422)
    assert first.json()["generation_id"] == second.json()["generation_id"]
    assert second.json()["category"] == "sexual"
    assert second["Idempotent-Replayed"] == "true"


def test_a_rejection_is_told_by_webhook(ada: Customer, workshop: Workshop) -> None:
    with platform_role():
        webhooks.create(ada.tenant, url="https://example.com/hook", kinds=["generation.rejected"])
    post(ada, workshop, BLOCKED)
    with platform_role():
        found = rows("SELECT kind, payload::text FROM tenants_webhookevent WHERE tenant_id = %s", [ada.id])
    assert [kind for kind, _ in found] == ["generation.rejected"]
    assert "pornography" not in found[0][1]


def test_variations_pass_the_same_door(ada: Customer, workshop: Workshop, drawing: Production) -> None:
    generation = workshop.submit(ada)
    drawing.drain(workshop.pool)
    ended(generation)
    image = ada.client().get(f"/v1/generations/{generation}").json()["images"][0]["id"]
    answer = ada.client().post(f"/v1/images/{image}/variations", {"prompt": BLOCKED}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "content_rejected")


def test_a_prompt_for_review_is_drawn_and_its_images_are_held(
    ada: Customer, workshop: Workshop, drawing: Production
) -> None:
    generation = post(ada, workshop, HELD, n=2).json()["id"]
    drawing.drain(workshop.pool)
    assert ended(generation).status == "in_review"
    answer = ada.client().get(f"/v1/generations/{generation}").json()
    assert answer["images"] == []
    assert answer["review"]["category"] == "public-figures"
    assert answer["review"]["expected_seconds"] > 0
    assert [each["index"] for each in answer["review"]["images"]] == [0, 1]
    assert ada.client().get(f"/v1/generations/result/{generation}").json()["images"] == []
    assert row(generation).credits == 2, "charged when stored"
    with platform_role():
        opened = Case.objects.filter(generation_id=generation)
        assert {(case.kind, case.category, case.layer) for case in opened} == {("held", "public-figures", "keywords")}
        assert not Image.objects.filter(generation_id=generation, released_at__isnull=False).exists()


def test_a_held_image_is_shown_blurred_and_opens_nowhere_else(
    ada: Customer, workshop: Workshop, drawing: Production
) -> None:
    generation = post(ada, workshop, HELD, width=256, height=128).json()["id"]
    drawing.drain(workshop.pool)
    ended(generation)
    (held,) = ada.client().get(f"/v1/generations/{generation}").json()["review"]["images"]
    file = Client().get(held["thumbnail"])
    assert (file.status_code, file["Content-Type"]) == (200, "image/jpeg")
    assert PILImage.open(io.BytesIO(file.content)).size == (160, 80)
    token = held["thumbnail"].rsplit("/", 1)[1]
    assert Client().get(f"/media/{token}").status_code == 404, "its token opens the blurred one alone"
    assert ada.client().get(f"/v1/generations/result/{generation}", headers={"Accept": "image/*"}).status_code == 404
    asked = {"prompt": "more of it", "init_image": held["id"], "model": workshop.model.name}
    assert ada.client().post("/v1/generations", asked, format="json").status_code == 400
    assert ada.client().post(f"/v1/images/{held['id']}/variations", {}, format="json").status_code == 404


def test_what_is_held_for_its_words_follows_nobody_and_is_nobodys_earlier_result(
    ada: Customer, workshop: Workshop, drawing: Production
) -> None:
    first, second = (post(ada, workshop, HELD, seed=3).json()["id"] for _ in range(2))
    assert row(second).draws_with is None
    assert flow(ada) == (2, 0)
    drawing.drain(workshop.pool)
    assert [ended(each).status for each in (first, second)] == ["in_review", "in_review"]
    third = post(ada, workshop, HELD, seed=3).json()
    assert (third["status"], third["cached"]) == ("queued", False)


def test_an_appeal_that_is_granted_lets_the_same_prompt_pass(
    ada: Customer, workshop: Workshop, drawing: Production
) -> None:
    rejected = post(ada, workshop, BLOCKED).json()["generation_id"]
    url = f"/v1/generations/{rejected}/appeals"
    assert ada.client().get(url).json()["data"] == []
    made = ada.client().post(url, {"text": "It is for a museum."}, format="json")
    assert (made.status_code, made.json()["status"]) == (201, "open")
    again = ada.client().post(url, {"text": "Once more."}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "not_appealable")
    assert post(ada, workshop, BLOCKED).status_code == 422
    decide(ada, approved=True)
    assert ada.client().get(url).json()["data"][0]["status"] == "granted"
    passed = post(ada, workshop, BLOCKED)
    assert passed.status_code == 202
    assert row(passed.json()["id"]).screened == "cleared"
    drawing.drain(workshop.pool)
    assert ended(passed.json()["id"]).status == "completed"
    assert post(ada, workshop, BLOCKED + ", and more of it").status_code == 422


def test_an_appeal_that_is_denied_changes_nothing(ada: Customer, workshop: Workshop) -> None:
    rejected = post(ada, workshop, BLOCKED).json()["generation_id"]
    ada.client().post(f"/v1/generations/{rejected}/appeals", {"text": "Please."}, format="json")
    decide(ada, approved=False)
    (appeal,) = ada.client().get(f"/v1/generations/{rejected}/appeals").json()["data"]
    assert appeal["status"] == "denied"
    assert post(ada, workshop, BLOCKED).status_code == 422
    with platform_role():
        assert not Pass.objects.filter(tenant=ada.tenant).exists()


@pytest.mark.parametrize(("approved", "status"), [(True, "granted"), (False, "denied")])
def test_whoever_appealed_hears_how_it_ended_by_webhook(
    ada: Customer, workshop: Workshop, approved: bool, status: str
) -> None:
    with platform_role():
        webhooks.create(ada.tenant, url="https://example.com/hook", kinds=["appeal.resolved"])
    own = "https://example.com/this-one"
    rejected = post(ada, workshop, BLOCKED, webhook_url=own).json()["generation_id"]
    made = ada.client().post(f"/v1/generations/{rejected}/appeals", {"text": "Please."}, format="json").json()
    decide(ada, approved=approved)
    with platform_role():
        (event,) = WebhookEvent.objects.filter(tenant=ada.tenant, kind="appeal.resolved")
        addresses = set(WebhookDelivery.objects.filter(event_id=event.id).values_list("url", flat=True))
    assert event.payload == {**made, "status": status}, "ids and the outcome, and nobody's words"
    assert addresses == {"", own}, "who subscribed, and the request's own address"


@pytest.mark.parametrize(
    ("approved", "said"), [(True, "The appeal was granted"), (False, "The appeal was turned down")]
)
def test_the_console_tells_how_an_appeal_ended(ada: Customer, workshop: Workshop, approved: bool, said: str) -> None:
    path = f"/console/gallery/{post(ada, workshop, BLOCKED).json()['generation_id']}"
    browser = let_in(person(ada.tenant, "developer"))
    assert "Appeal…" in browser.get(path).content.decode()
    browser.post(f"{path}/appeal", {"text": "It is a statue."})
    assert said not in browser.get(path).content.decode()
    decide(ada, approved=approved, kind="appeal")
    text = browser.get(path).content.decode()
    assert said in text
    assert "Staff have not decided yet" not in text
    assert "Appeal…" not in text, "once for each request"
    assert ("Harmless: a false alarm" in text) is not approved, "the reason that staff gave, in words"


def test_what_was_not_rejected_has_nothing_to_appeal(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    generation = workshop.submit(ada)
    url = f"/v1/generations/{generation}/appeals"
    assert ada.client().post(url, {"text": "Why?"}, format="json").status_code == 409
    assert bob.client().post(url, {"text": "Why?"}, format="json").status_code == 404


def test_a_keys_own_policy_is_stricter_and_its_terms_block(ada: Customer, workshop: Workshop) -> None:
    asked = {"categories": {"public-figures": "block"}, "terms": ["blue teapot"]}
    url = f"/v1/moderation-policy/keys/{ada.key.public_id}"
    told = ada.client().patch(url, asked, format="json").json()
    assert told["effective"]["categories"]["public-figures"]["text"] == "block"
    assert post(ada, workshop, HELD).json()["category"] == "public-figures"
    assert post(ada, workshop, "On a shelf: b-l-u-e teapot").json()["category"] == "own"
    with platform_role():
        TenantPolicy.objects.filter(tenant=ada.tenant).delete()
    policy.forget()


def test_a_policy_that_is_only_tried_is_recorded_and_has_no_effect(ada: Customer, workshop: Workshop) -> None:
    asked = {"categories": {"public-figures": "block"}, "terms": ["blue teapot"], "shadow": True}
    told = ada.client().patch("/v1/moderation-policy", asked, format="json").json()
    assert told["effective"]["categories"]["public-figures"]["text"] == "review"
    held, plain = post(ada, workshop, HELD), post(ada, workshop, "a blue teapot on a shelf")
    assert (held.status_code, plain.status_code) == (202, 202)
    assert (row(held.json()["id"]).screened, row(plain.json()["id"]).screened) == ("review", "allow")
    assert ada.client().get("/v1/moderation-policy").json()["would_have"] == [
        {"category": "own", "action": "block", "generations": 1},
        {"category": "public-figures", "action": "block", "generations": 1},
    ]
    assert flags(ada) == [False, False]
    assert ada.client().patch("/v1/moderation-policy", {"shadow": False}, format="json").json()["shadow"] is False
    assert post(ada, workshop, "a blue teapot on a shelf").status_code == 422
    assert flags(ada) == [True, True]


def flags(customer: Customer) -> list[bool]:
    """What moderation says on request of what the policy above is about, in both forms."""
    paths = ("/v1/moderations", "/compat/openai/v1/moderations")
    asked = {"input": "a blue teapot on a shelf"}
    answers = [customer.client().post(path, asked, format="json").json() for path in paths]
    return [answer["results"][0]["flagged"] for answer in answers]


def test_no_policy_of_a_tenants_is_laxer(ada: Customer, workshop: Workshop) -> None:
    url = "/v1/moderation-policy"
    for categories in ({"sexual": "allow"}, {"weather": "block"}):
        assert ada.client().patch(url, {"categories": categories}, format="json").status_code == 400
    ada.client().patch(url, {"categories": {"sexual": "review"}}, format="json")
    assert post(ada, workshop, BLOCKED).status_code == 422


def test_one_embedding_serves_moderation_and_routing(ada: Customer, workshop: Workshop) -> None:
    with platform_role():
        changed("UPDATE generation_model SET tenant_id = %s, is_default = true WHERE id = %s",
                [ada.id, workshop.model.id])  # fmt: skip
    screening.forget()
    asked = screening.CALLS.labels("text", "answered")
    remembered = screening.CALLS.labels("text", "remembered")
    before = asked._value.get(), remembered._value.get()
    body = {"prompt": "A  Lighthouse on a cliff, " + uuid4().hex, "steps": 1, "width": 64, "height": 64}
    assert ada.client().post("/v1/generations", body, format="json").status_code == 202
    assert (asked._value.get(), remembered._value.get()) == (before[0] + 1, before[1] + 1)


def test_each_text_that_is_judged_on_request_counts_as_a_request(ada: Customer) -> None:
    def left(texts: list[str]) -> int:
        answer = ada.client().post("/v1/moderations", {"input": texts}, format="json")
        assert answer.status_code == 200, answer.content
        return int(answer["X-RateLimit-Remaining"])

    before = left(["a red apple"])
    left([f"{n} red apples" for n in range(5)])
    assert left(["a red apple"]) == before - 6


def test_texts_and_pictures_are_judged_on_request_and_nothing_is_kept(ada: Customer) -> None:
    answer = ada.client().post("/v1/moderations", {"input": ["a red apple", BLOCKED]}, format="json").json()
    harmless, bad = answer["results"]
    assert (harmless["flagged"], harmless["action"]) == (False, "allow")
    assert (bad["flagged"], bad["action"], bad["categories"]["sexual"]) == (True, "block", True)
    assert bad["category_scores"]["sexual"] >= 0.5
    with platform_role():
        assert not Verdict.objects.filter(tenant=ada.tenant).exists()
    assert ada.client().post("/v1/moderations", {}, format="json").status_code == 400
    assert ada.client().post("/v1/moderations", {"input": []}, format="json").status_code == 400
    assert ada.client().post("/v1/moderations", {"input": 5}, format="json").status_code == 400
