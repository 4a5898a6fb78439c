"""What moderation says of what was drawn: released, held for staff, or refused; what is paid; what staff decide."""

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.test import Client, override_settings
from PIL import Image as PILImage

from billing import ledger, reconciliation
from easel import clock, metrics
from easel.crypto import CryptoError
from easel.database import changed, platform_role, rows
from easel.storage import storage
from generation import decisions
from generation.assignment import Assignment
from generation.contact_sheet import GAP
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Preview
from generation.models import DoomedObject, Image, ObjectIntent
from generation.previews import Previews
from generation.production import Production
from moderation import applying
from moderation.findings import Judgment
from moderation.models import Case, RejectedHash, TenantPolicy, Verdict
from moderation.subjects import subjects
from tenants import keys, tokens, webhooks
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, make_production, row
from tests.generation.decided import decide
from tests.generation.test_endings import delivery, money, source
from tests.moderation.scripted import HARMLESS, ScriptedJudge, judgment
from tests.stub_engine import StubEngine

BAD, DOUBTFUL = 7, 8  # seeds, and so the gray that the stub paints


@pytest.fixture
def drawing() -> Iterator[Production]:
    judge = ScriptedJudge(gray7=judgment("block"), gray8=judgment("review"))
    production = make_production(StubEngine(step_seconds=0), judge=judge)
    yield production
    production.close()


@pytest.fixture
def drawn(ada: Customer, workshop: Workshop, drawing: Production) -> Callable[..., UUID]:
    def draw(**fields: Any) -> UUID:
        generation = workshop.submit(ada, **fields)
        drawing.drain(workshop.pool)
        ended(generation)
        return generation

    return draw


def told(customer: Customer, generation: UUID) -> dict[str, Any]:
    answer: dict[str, Any] = customer.client().get(f"/v1/generations/{generation}").json()
    return answer


def hooks(customer: Customer) -> list[str]:
    with platform_role():
        found = rows("SELECT kind FROM tenants_webhookevent WHERE tenant_id = %s ORDER BY id", [customer.id])
    return [kind for (kind,) in found]


def listen(customer: Customer) -> None:
    kinds = [kind for kind in webhooks.SUBSCRIBABLE if kind.startswith("generation.")]
    with platform_role():
        webhooks.create(customer.tenant, url="https://example.com/hook", kinds=kinds)


def test_a_blocked_image_is_stored_nowhere_and_not_charged(ada: Customer, drawn: Callable[..., UUID]) -> None:
    generation = drawn(seed=BAD - 1, n=2)
    answer = told(ada, generation)
    assert (answer["status"], [image["index"] for image in answer["images"]]) == ("completed", [0])
    assert answer["warnings"] == ["Moderation rejected 1 of 2 images (sexual)."]
    assert answer["credits"] == answer["quote"]["credits"] // 2 == 1
    with platform_role():
        assert not ObjectIntent.objects.filter(tenant=ada.tenant).exists()
        verdict = Verdict.objects.get(generation_id=generation)
    assert (verdict.image_index, verdict.layer, verdict.action) == (1, "image", "block")
    assert [key for key in storage().keys(f"t/{ada.id}/g/") if "-1." in key] == []
    money(ada)


def test_a_generation_is_rejected_where_no_image_may_be_shown(ada: Customer, drawn: Callable[..., UUID]) -> None:
    listen(ada)
    generation = drawn(seed=BAD)
    answer = told(ada, generation)
    assert (answer["status"], answer["credits"], answer["images"]) == ("rejected", 0, [])
    assert answer["error"] == {
        "code": "content_rejected", "detail": "Moderation let no picture of it through (sexual)."
    }  # fmt: skip
    assert money(ada) == (10_000, 0)
    assert list(storage().keys(f"t/{ada.id}/g/")) == []
    assert hooks(ada) == ["generation.rejected"]


def test_a_doubtful_image_waits_for_staff_while_the_others_are_there(ada: Customer, drawn: Callable[..., UUID]) -> None:
    listen(ada)
    answer = told(ada, drawn(seed=DOUBTFUL, n=2))
    assert answer["status"] == "in_review"
    assert [image["index"] for image in answer["images"]] == [1]
    assert [image["index"] for image in answer["review"]["images"]] == [0]
    assert hooks(ada) == ["generation.in_review"]


def test_an_approved_image_is_released_and_its_customer_hears_of_it(ada: Customer, drawn: Callable[..., UUID]) -> None:
    listen(ada)
    generation = drawn(seed=DOUBTFUL, n=2)
    decide(ada, approved=True)
    answer = told(ada, generation)
    assert (answer["status"], len(answer["images"]), answer["review"]) == ("completed", 2, None)
    assert Client().get(answer["images"][0]["url"]).status_code == 200
    assert hooks(ada) == ["generation.in_review", "generation.released", "generation.completed"]
    assert money(ada) == (9_998, 0)


def test_a_rejected_image_is_refunded_and_never_shown(ada: Customer, drawn: Callable[..., UUID]) -> None:
    listen(ada)
    generation = drawn(seed=DOUBTFUL, n=2)
    (held,) = told(ada, generation)["review"]["images"]
    decide(ada, approved=False)
    answer = told(ada, generation)
    assert (answer["status"], [image["index"] for image in answer["images"]]) == ("completed", [1])
    assert (answer["credits"], money(ada)) == (1, (9_999, 0))
    assert Client().get(held["thumbnail"]).status_code == 404
    assert hooks(ada)[-1] == "generation.completed"
    with platform_role():
        assert not any(reconciliation.run(tenant_id=ada.id).values())


def test_a_generation_whose_last_image_is_rejected_is_rejected(ada: Customer, drawn: Callable[..., UUID]) -> None:
    generation = drawn(seed=DOUBTFUL)
    decide(ada, approved=False)
    answer = told(ada, generation)
    assert (answer["status"], answer["error"]["code"], answer["credits"]) == ("rejected", "content_rejected", 0)
    assert money(ada) == (10_000, 0)


def test_what_support_gave_back_is_not_given_back_again_and_holds_up_no_other_decision(
    ada: Customer, drawn: Callable[..., UUID]
) -> None:
    generation = drawn(seed=DOUBTFUL)
    with platform_role():
        ledger.refund(ada.id, generation, 1, operation_id="ticket-1", reason="asked support")
    decide(ada, approved=False)
    assert told(ada, generation)["status"] == "rejected"
    assert money(ada) == (10_000, 0)
    with platform_role():
        assert not any(reconciliation.run(tenant_id=ada.id).values())


def test_a_decision_that_cannot_be_applied_keeps_no_other_waiting(
    ada: Customer, drawn: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = drawn(seed=DOUBTFUL), drawn(seed=DOUBTFUL)
    rejects = decisions.reject

    def broken(tenant_id: UUID, generation_id: UUID, indexes: Sequence[int], *, category: str) -> int:
        if generation_id == first:
            raise CryptoError("damaged")
        return rejects(tenant_id, generation_id, indexes, category=category)

    monkeypatch.setattr(decisions, "reject", broken)
    decide(ada, approved=False, limit=2)
    assert [told(ada, each)["status"] for each in (first, second)] == ["in_review", "rejected"]
    monkeypatch.undo()
    with platform_role():
        assert applying.apply_due(seconds=0) == 1
    assert told(ada, first)["status"] == "rejected"


def test_by_setting_a_rejected_image_stays_paid(ada: Customer, drawn: Callable[..., UUID]) -> None:
    drawn(seed=DOUBTFUL)
    with override_settings(REFUND_REJECTED=False):
        decide(ada, approved=False)
    assert money(ada) == (9_999, 0)


def test_an_appeal_shows_what_was_rejected_while_it_is_still_there(ada: Customer, drawn: Callable[..., UUID]) -> None:
    generation = drawn(seed=DOUBTFUL)
    decide(ada, approved=False)
    made = ada.client().post(f"/v1/generations/{generation}/appeals", {"text": "Look again."}, format="json")
    assert made.status_code == 201
    with platform_role():
        case = Case.objects.get(generation_id=generation, kind="appeal")
        assert subjects().picture(case) is not None
        assert subjects().prompts(case) == ("a red apple", "")
    decide(ada, approved=True, kind="appeal")
    answer = told(ada, generation)
    assert (answer["status"], len(answer["images"]), answer["error"]) == ("completed", 1, None)
    assert Client().get(answer["images"][0]["url"]).status_code == 200


def test_an_appeal_shows_and_brings_back_all_that_was_rejected(ada: Customer, drawn: Callable[..., UUID]) -> None:
    generation = drawn(seed=DOUBTFUL - 1, n=3)  # the first one is blocked, and stored nowhere
    with platform_role():
        changed("UPDATE generation_image SET released_at = NULL, rejected_at = now() WHERE generation_id = %s "
                "AND index = 2", [generation])  # fmt: skip
        changed("UPDATE moderation_case SET phash = 'f0f0f0f00f0f0f0f' WHERE generation_id = %s", [generation])
    decide(ada, approved=False)
    assert ada.client().post(f"/v1/generations/{generation}/appeals", {"text": "?"}, format="json").status_code == 201
    with platform_role():
        assert "f0f0f0f00f0f0f0f" in map(str, RejectedHash.objects.all())
        picture = subjects().picture(Case.objects.get(generation_id=generation, kind="appeal"))
        single = Image.objects.filter(generation_id=generation).first()
    assert picture
    assert single
    with PILImage.open(io.BytesIO(picture)) as sheet:
        assert sheet.size == (2 * single.width + GAP, single.height)
        left, right = (sheet.convert("L").getpixel((x, 8)) for x in (8, single.width + GAP + 8))
    assert (left, right) == (pytest.approx(DOUBTFUL, abs=3), pytest.approx(DOUBTFUL + 1, abs=3))
    decide(ada, approved=True, kind="appeal")
    assert [image["index"] for image in told(ada, generation)["images"]] == [1, 2]
    with platform_role():
        known = map(str, RejectedHash.objects.all())
        assert "f0f0f0f00f0f0f0f" not in known, "what staff have shown on appeal blocks nobody else"


def test_a_rejected_image_that_nobody_appeals_is_removed(ada: Customer, drawn: Callable[..., UUID]) -> None:
    generation = drawn(seed=DOUBTFUL)
    decide(ada, approved=False)
    clock.perform("forget_rejected_images")
    with platform_role():
        assert Image.objects.filter(generation_id=generation).exists()
        changed("UPDATE generation_image SET rejected_at = now() - interval '8 days' WHERE generation_id = %s",
                [generation])  # fmt: skip
    clock.perform("forget_rejected_images")
    with platform_role():
        assert not Image.objects.filter(generation_id=generation).exists()
        assert DoomedObject.objects.filter(tenant=ada.tenant).count() == 1


def test_a_rejected_image_that_concerns_minors_is_removed_at_once(ada: Customer, drawn: Callable[..., UUID]) -> None:
    generation = drawn(seed=DOUBTFUL)
    with platform_role():
        changed("UPDATE moderation_case SET category = 'sexual/minors' WHERE generation_id = %s", [generation])
    decide(ada, approved=False)
    with platform_role():
        assert not Image.objects.filter(generation_id=generation).exists()
        assert DoomedObject.objects.filter(tenant=ada.tenant).count() == 1


def test_erasing_what_waits_for_staff_leaves_them_nothing_to_decide(ada: Customer, drawn: Callable[..., UUID]) -> None:
    generation = drawn(seed=DOUBTFUL)
    assert ada.client().delete(f"/v1/generations/{generation}").status_code == 204
    with platform_role():
        assert Case.objects.filter(generation_id=generation, status="open").exists()
    clock.perform("drop_moot_cases")
    with platform_role():
        assert not Case.objects.filter(generation_id=generation).exists()
    assert row(generation).status == "canceled"


def test_a_canceled_generation_leaves_nothing_to_decide(ada: Customer, workshop: Workshop) -> None:
    generation = workshop.submit(ada, n=2)
    (job,) = source.claim(workshop.pool, limit=1)
    ada.client().post(f"/v1/generations/{generation}/cancel")
    assert source.cancel(job, [delivery(job, judgment=judgment("review"))], begun=[1])
    assert (row(generation).status, row(generation).credits) == ("canceled", 0)
    with platform_role():
        assert not Case.objects.filter(generation_id=generation).exists()
        assert not Image.objects.filter(generation_id=generation).exists()
        assert DoomedObject.objects.filter(tenant=ada.tenant).count() == 1


def test_whoever_takes_over_anothers_drawing_has_it_judged_by_its_own_keys_policy(
    ada: Customer, workshop: Workshop
) -> None:
    with platform_role():
        strict, _ = keys.mint(ada.tenant, name="strict", scopes=sorted(keys.SCOPES))
        TenantPolicy.objects.create(tenant=ada.tenant, key_id=strict.id, categories={"sexual": "review"})
        record = keys.find(strict.public_id)
    assert record is not None
    heir = ada.client()
    heir.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(record, record.scopes)}")
    leader = workshop.submit(ada, seed=3)
    follower = heir.post("/v1/generations", workshop.body(seed=3), format="json").json()["id"]
    (job,) = source.claim(workshop.pool, limit=1)
    ada.client().post(f"/v1/generations/{leader}/cancel")
    seen = judgment("allow", score=0.55)
    assert source.complete(job, [delivery(job, judgment=seen)])
    assert (row(leader).status, row(follower).status) == ("canceled", "in_review")


def test_nothing_in_review_or_rejected_answers_an_equal_request(ada: Customer, workshop: Workshop,
                                                               drawn: Callable[..., UUID]) -> None:  # fmt: skip
    for seed in (BAD, DOUBTFUL):
        drawn(seed=seed)
        again = ada.client().post("/v1/generations", workshop.body(seed=seed), format="json").json()
        assert (again["status"], again["cached"]) == ("queued", False)


def test_what_staff_released_answers_an_equal_request_of_the_same_policy_alone(
    ada: Customer, workshop: Workshop, drawn: Callable[..., UUID]
) -> None:
    drawn(seed=DOUBTFUL)
    decide(ada, approved=True)
    body = workshop.body(seed=DOUBTFUL)
    assert ada.client().post("/v1/generations", body, format="json").json()["cached"]
    with platform_role():
        strict, _ = keys.mint(ada.tenant, name="strict", scopes=sorted(keys.SCOPES))
        TenantPolicy.objects.create(tenant=ada.tenant, key_id=strict.id, categories={"sexual": "block"})
        record = keys.find(strict.public_id)
    assert record is not None
    client = ada.client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(record, record.scopes)}")
    answer = client.post("/v1/generations", body, format="json").json()
    assert (answer["status"], answer["cached"]) == ("queued", False)


def test_equal_pictures_of_a_rejected_one_are_not_reviewed_twice(ada: Customer, drawn: Callable[..., UUID]) -> None:
    generation = drawn(seed=DOUBTFUL)
    with platform_role():
        changed("UPDATE moderation_case SET phash = 'f0f0f0f00f0f0f0f' WHERE generation_id = %s", [generation])
    decide(ada, approved=False)
    with platform_role():
        known = [str(each) for each in RejectedHash.objects.all()]
        from moderation import images
        from moderation.policy import effective
        from moderation.screening.client import ImageReading

        like = ImageReading({"sexual": 0.01}, "f0f0f0f00f0f0f0e", "script")
        said = images.weigh(like, effective(ada.id, None))
        RejectedHash.objects.all().delete()
    assert "f0f0f0f00f0f0f0f" in known
    assert (said.action, said.findings[0].layer) == ("block", "hash")


# --- On the way ------------------------------------------------------------------------------------------------


class Previewing:
    """Blocks the preview of the first image that asks."""

    def __init__(self, said: Judgment) -> None:
        self.said, self.seen = [said], 0

    def __call__(self, jpeg: bytes, *, tenant_id: UUID, key_id: UUID | None) -> Judgment:
        self.seen += 1
        return self.said.pop() if self.said else HARMLESS


def pixels(customer: Customer, generation: UUID) -> dict[int, Any]:
    images = told(customer, generation)["images"]
    return {
        image["index"]: np.asarray(PILImage.open(io.BytesIO(Client().get(image["url"]).content))) for image in images
    }


def test_a_blocked_preview_frees_its_slot_and_leaves_its_siblings_pixels_alone(
    ada: Customer, workshop: Workshop
) -> None:
    judge, steps = Previewing(judgment("block", layer="preview")), 150  # time enough for a verdict
    production = make_production(LoopEngine(device="cpu", threads=1), judge=ScriptedJudge(), judge_preview=judge)
    try:
        first = workshop.submit(ada, seed=11, n=2, steps=steps, reuse=False)
        production.drain(workshop.pool)
        ended(first)
        alone = workshop.submit(ada, seed=11, n=2, steps=steps, reuse=False)
        production.drain(workshop.pool)
        ended(alone)
    finally:
        production.close()
    answer = told(ada, first)
    assert (answer["status"], len(answer["images"]), judge.seen) == ("completed", 1, 4)
    assert answer["credits"] < answer["quote"]["credits"]
    assert answer["steps_run"] < 2 * steps, "the refused one did not go to its end"
    (index,) = pixels(ada, first)
    difference = pixels(ada, first)[index].astype(int) - pixels(ada, alone)[index].astype(int)
    assert abs(difference).max() <= 1
    with platform_role():
        assert Verdict.objects.get(generation_id=first, action="block").layer == "preview"


@pytest.mark.parametrize(("prompt", "shown"), [("a red apple", 1), ("portrait of Taylor Swift in a garden", 0)])
def test_a_preview_is_published_after_its_own_allow_and_never_of_what_is_held(
    ada: Customer, workshop: Workshop, prompt: str, shown: int
) -> None:
    from easel.feed import subject_log
    from easel.valkey import client

    production = make_production(
        LoopEngine(device="cpu", threads=1), judge=ScriptedJudge(), judge_preview=Previewing(HARMLESS)
    )
    try:
        generation = workshop.submit(ada, prompt=prompt, steps=10)
        production.drain(workshop.pool)
        ended(generation)
    finally:
        production.close()
    news = [json.loads(entry[b"n"]) for _, entry in client().xrange(subject_log(generation))]
    previews = [data for _, kind, data in news if kind == "preview"]
    assert len(previews) == shown
    for preview in previews:
        assert preview["content_type"] == "image/jpeg"
        assert 4 <= preview["step"] <= 6


def test_previews_that_cannot_be_judged_in_time_are_left_out_and_nobody_waits(
    ada: Customer, workshop: Workshop
) -> None:
    workshop.submit(ada)
    (job,) = source.claim(workshop.pool, limit=1)
    busy, free, seen = Event(), Event(), []

    def slow(jpeg: bytes, *, tenant_id: UUID, key_id: UUID | None) -> Judgment:
        seen.append(jpeg)
        busy.set()
        free.wait(10)
        return HARMLESS

    previews, preview = Previews(judge=slow, most_waiting=1), Preview(jpeg=b"x", width=1, height=1, done=1, total=2)
    dropped = metrics.PREVIEWS.labels("dropped")._value.get()
    previews.take(Assignment(job), 0, preview)
    assert busy.wait(10)
    started = time.monotonic()
    for _ in range(20):
        previews.take(Assignment(job), 0, preview)
    assert time.monotonic() - started < 1
    assert metrics.PREVIEWS.labels("dropped")._value.get() - dropped >= 18
    free.set()
    previews.close()
    assert 1 <= len(seen) <= 2
