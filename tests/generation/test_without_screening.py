"""The screening process is gone, or has no model: nothing unreviewed reaches a customer, and what is harmless is let go
without a person once it is back. The process is the real one, and it is really killed."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image as PILImage

from easel import clock
from easel.database import platform_role, rows
from easel.embedded.stack import Stack
from generation import rejudging
from generation.models import Generation, Image, Input
from generation.production import Production
from moderation.findings import Judgment
from moderation.models import Case
from moderation.screening import client as screening
from tenants import webhooks
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, make_production, row
from tests.generation.test_endings import money
from tests.moderation.grays import BLOCKED, HELD
from tests.stub_engine import StubEngine

BRIGHT, DOUBTFUL, DARK = 200, HELD - 1, BLOCKED - 1  # seeds, and so the gray that the stub paints
SCORER = {"EASEL_SCREENING_IMAGE_SCORER": "tests.moderation.grays:Grays"}


@pytest.fixture(scope="module", autouse=True)
def _grays(stack: Stack) -> Iterator[None]:
    """The scorer that judges by brightness, in the real process."""
    stack.restart("screening", SCORER)
    screening.forget()
    yield
    stack.restart("screening")
    screening.forget()


@pytest.fixture
def drawing() -> Iterator[Production]:
    production = make_production(StubEngine(step_seconds=0))
    yield production
    production.close()


@contextmanager
def killed(stack: Stack) -> Iterator[None]:
    """Killed, and not started again until the end."""
    stack.kill("screening")
    stack.halt("screening")
    screening.forget()
    try:
        yield
    finally:
        stack.start("screening", extra=SCORER)
        screening.forget()


def shown(customer: Customer, generation: UUID) -> int:
    with platform_role():
        released = Image.objects.filter(generation_id=generation, released_at__isnull=False).count()
    assert len(customer.client().get(f"/v1/generations/{generation}").json()["images"]) == released
    return released


def cases(generation: UUID) -> int:
    with platform_role():
        return Case.objects.filter(generation_id=generation).count()


def test_while_it_is_dead_images_are_held_and_then_judged_without_a_person(
    ada: Customer, workshop: Workshop, drawing: Production, stack: Stack
) -> None:
    with platform_role():
        webhooks.create(ada.tenant, url="https://example.com/hook", kinds=["generation.in_review",
                        "generation.released", "generation.rejected"])  # fmt: skip
    with killed(stack):
        harmless, doubtful, bad = (workshop.submit(ada, seed=seed) for seed in (BRIGHT, DOUBTFUL, DARK))
        drawing.drain(workshop.pool)
        for generation in (harmless, doubtful, bad):
            held = ended(generation)
            assert (held.status, held.category, held.unscreened) == ("in_review", "unscreened", True)
            assert (shown(ada, generation), cases(generation)) == (0, 0)
        answer = ada.client().get(f"/v1/generations/{harmless}").json()
        assert answer["review"]["expected_seconds"] is None
        assert clock.perform("judge_again") == 0
    assert clock.perform("judge_again") >= 3
    assert (row(harmless).status, shown(ada, harmless), cases(harmless)) == ("completed", 1, 0)
    assert (row(doubtful).status, shown(ada, doubtful), cases(doubtful)) == ("in_review", 0, 1)
    assert (row(bad).status, shown(ada, bad), row(bad).credits) == ("rejected", 0, 0)
    assert row(harmless).screened == "allow"
    with platform_role():
        found = rows("SELECT kind, subject FROM tenants_webhookevent WHERE tenant_id = %s ORDER BY id", [ada.id])
    assert ("generation.released", str(harmless)) in found
    assert ("generation.rejected", str(bad)) in found
    assert money(ada) == (9_998, 0)


def test_killed_between_the_words_and_the_picture(
    ada: Customer, workshop: Workshop, drawing: Production, stack: Stack
) -> None:
    generation = workshop.submit(ada, seed=BRIGHT)
    assert row(generation).screened == "allow"
    with killed(stack):
        drawing.drain(workshop.pool)
        assert ended(generation).status == "in_review"
        assert shown(ada, generation) == 0
    clock.perform("judge_again")
    assert (row(generation).status, shown(ada, generation)) == ("completed", 1)


def test_without_its_image_model_words_are_judged_and_images_held(
    ada: Customer, workshop: Workshop, drawing: Production, stack: Stack, tmp_path: Path
) -> None:
    other = tmp_path / "open-nsfw.onnx"
    other.write_bytes(b"something else")
    stack.restart("screening", {"EASEL_SCREENING_IMAGE_SCORER": "", "EASEL_SCREENING_IMAGE_MODEL": str(other)})
    screening.forget()
    try:
        generation = workshop.submit(ada, seed=BRIGHT)
        assert row(generation).screened == "allow"
        drawing.drain(workshop.pool)
        assert ended(generation).category == "unscreened"
        assert clock.perform("judge_again") == 0
        assert shown(ada, generation) == 0
    finally:
        stack.restart("screening", {**SCORER, "EASEL_SCREENING_IMAGE_MODEL": ""})
        screening.forget()
    clock.perform("judge_again")
    assert (row(generation).status, shown(ada, generation)) == ("completed", 1)


def test_a_request_whose_words_turn_out_bad_is_rejected_and_refunded(
    ada: Customer, workshop: Workshop, drawing: Production, stack: Stack
) -> None:
    with killed(stack):
        generation = workshop.submit(ada, seed=BRIGHT)
        drawing.drain(workshop.pool)
        ended(generation)
    with platform_role():  # what its words would be scored by another classifier
        from moderation.models import TenantPolicy

        TenantPolicy.objects.create(tenant=ada.tenant, terms=["red apple"])
        from moderation import policy

        policy.forget()
    clock.perform("judge_again")
    after = row(generation)
    assert (after.status, after.category, after.screened, after.credits) == ("rejected", "own", "block", 0)
    assert money(ada) == (10_000, 0)


# --- Pictures to start from --------------------------------------------------------------------------------------


def gray(value: int) -> str:
    import base64

    file = io.BytesIO()
    PILImage.new("RGB", (64, 64), (value, value, value)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def test_a_picture_to_start_from_is_judged_once_and_before_anything_is_drawn(ada: Customer, workshop: Workshop) -> None:
    def post(value: int) -> tuple[int, dict[str, object]]:
        body = workshop.body(init_image=gray(value), steps=4)
        answer = ada.client().post("/v1/generations", body, format="json")
        return answer.status_code, answer.json()

    status, problem = post(DARK)
    assert (status, problem["code"], problem["category"]) == (422, "content_rejected", "sexual")
    status, doubtful = post(DOUBTFUL)
    assert (status, row(UUID(str(doubtful["id"]))).screened) == (202, "review")
    assert post(BRIGHT)[0] == 202
    asked = screening.CALLS.labels("image", "answered")._value.get()
    assert post(DARK)[0] == 422
    assert screening.CALLS.labels("image", "answered")._value.get() == asked, "it is remembered with the picture"


def test_a_picture_to_start_from_that_nobody_could_judge_is_judged_with_the_rest(
    ada: Customer, workshop: Workshop, drawing: Production, stack: Stack
) -> None:
    with killed(stack):
        body = workshop.body(init_image=gray(DARK), steps=4, seed=BRIGHT)
        generation = ada.client().post("/v1/generations", body, format="json").json()["id"]
        assert row(generation).screened == "unscreened"
        drawing.drain(workshop.pool)
        ended(generation)
    clock.perform("judge_again")
    assert row(generation).status == Generation.Status.REJECTED
    with platform_role():
        assert Input.objects.get(tenant=ada.tenant).reading is not None


def test_what_nobody_can_judge_keeps_no_other_waiting(
    ada: Customer, workshop: Workshop, drawing: Production, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed(stack):
        odd, harmless = workshop.submit(ada, seed=BRIGHT), workshop.submit(ada, seed=BRIGHT + 1)
        drawing.drain(workshop.pool)
        assert [ended(each).unscreened for each in (odd, harmless)] == [True, True]
    of_words = rejudging._of_words

    def no_answer(generation: Generation) -> Judgment:
        if generation.id == odd:
            raise rejudging.StillDown
        return of_words(generation)

    monkeypatch.setattr(rejudging, "_of_words", no_answer)
    for _ in range(2):
        clock.perform("judge_again")
    assert (row(odd).status, row(harmless).status) == ("in_review", "completed")
    monkeypatch.undo()
    clock.perform("judge_again")
    assert row(odd).status == "completed"
