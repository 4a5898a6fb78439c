"""The `openai` package, unmodified, draws, edits, streams and moderates here; errors are its own exceptions."""

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import urlopen

import openai
import pytest
from openai import OpenAI
from PIL import Image as Pictures

from billing import ledger
from easel.database import changed, platform_role
from easel.storage import storage
from generation import events
from generation.models import Input
from tests.cast import Customer, make_customer
from tests.compat.conftest import another_key, drawing, of, soon, unfinished, word
from tests.generation.conftest import Workshop, ended, make_workshop
from tests.stub_engine import StubEngine


def client(port: int, customer: Customer, **options: Any) -> OpenAI:
    options = {"api_key": word(customer), "max_retries": 0, "timeout": 30, **options}
    return OpenAI(base_url=f"http://127.0.0.1:{port}/compat/openai/v1", **options)


@pytest.fixture
def ours(port: int, ada: Customer) -> Iterator[OpenAI]:
    with client(port, ada) as made:
        yield made


def picture(file: bytes) -> Pictures.Image:
    return Pictures.open(io.BytesIO(file))


def png(mode: str, size: tuple[int, int], color: Any) -> bytes:
    file = io.BytesIO()
    Pictures.new(mode, size, color).save(file, "PNG")
    return file.getvalue()


@pytest.mark.usefixtures("studio")
def test_a_picture_is_drawn_and_comes_as_file_and_as_address(ours: OpenAI, ada: Customer, workshop: Workshop) -> None:
    answer = ours.images.generate(
        prompt="a red apple", model=workshop.model.name, size="64x128", user="alice",
        extra_body={"seed": 77, "steps": 3},
    )  # fmt: skip
    (drawn,) = answer.data or []
    assert drawn.b64_json
    assert drawn.url
    file = base64.b64decode(drawn.b64_json)
    assert (picture(file).size, picture(file).getpixel((0, 0))) == ((64, 128), (77, 77, 77))
    with urlopen(drawn.url) as response:
        assert response.read() == file
    (made,) = of(ada)
    assert (made.status, made.steps, made.metadata["user"]) == ("completed", 3, "alice")
    assert answer.usage is not None
    assert (answer.size, answer.output_format, answer.usage.total_tokens) == ("64x128", "png", made.credits)


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize(("wanted", "missing"), [("url", "b64_json"), ("b64_json", "url")])
def test_one_form_of_two_pictures(ours: OpenAI, workshop: Workshop, wanted: Any, missing: str) -> None:
    answer = ours.images.generate(
        prompt="x", model=workshop.model.name, n=2, size="64x64", response_format=wanted, output_format="webp"
    )
    assert [getattr(each, missing) for each in answer.data or []] == [None, None]
    assert all(getattr(each, wanted) for each in answer.data or [])
    assert answer.output_format == "webp"


@pytest.mark.usefixtures("studio")
def test_an_edit_takes_files_and_redraws_what_is_transparent(ours: OpenAI, ada: Customer, workshop: Workshop) -> None:
    mask = Pictures.new("RGBA", (64, 64), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 32, 64))
    file = io.BytesIO()
    mask.save(file, "PNG")
    answer = ours.images.edit(
        image=("apple.png", png("RGB", (64, 64), "red")), mask=("mask.png", file.getvalue()),
        prompt="a green apple", model=workshop.model.name, n=1, extra_body={"seed": 5},
    )  # fmt: skip
    assert answer.size == "64x64"
    (made,) = of(ada)
    assert (made.strength, made.seed) == (1.0, 5)
    with platform_role():
        kept = Input.objects.get(id=made.mask_id)
    redrawn = picture(storage().get(kept.object_key))
    assert (redrawn.getpixel((0, 0)), redrawn.getpixel((63, 0))) == ((255, 255, 255), (0, 0, 0))


@pytest.mark.usefixtures("studio")
def test_what_an_edit_cannot_be_is_refused_by_name(ours: OpenAI, workshop: Workshop) -> None:
    image, model = png("RGB", (64, 64), "red"), workshop.model.name
    for name, given in (
        ("mask", {"mask": ("m.png", png("RGB", (64, 64), "red")), "image": ("a.png", image)}),
        ("image", {"image": [("a.png", image), ("b.png", image)]}),
        ("image", {"image": ("a.png", b"GIF89a nothing")}),
        ("n", {"image": ("a.png", image), "n": 99}),
        ("input_fidelity", {"image": ("a.png", image), "input_fidelity": "high"}),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            ours.images.edit(prompt="x", model=model, **given)  # type: ignore[call-overload]
        assert refused.value.param == name


def preview(generation: Any, customer: Customer, content: bytes) -> None:
    data = {
        "index": 0,
        "step": 1,
        "steps": 2,
        "content_type": "image/jpeg",
        "image": base64.b64encode(content).decode(),
    }
    events.publish(generation, "preview", data, tenant_id=customer.id)


@pytest.mark.parametrize("call", ["generate", "edit"])
def test_partial_pictures_are_streamed_and_then_the_whole_one(
    ours: OpenAI, ada: Customer, workshop: Workshop, engine: StubEngine, call: str
) -> None:
    given = {"image": ("a.png", png("RGB", (64, 64), "red"))} if call == "edit" else {"size": "64x64"}
    stream = getattr(ours.images, call)(
        prompt="x", model=workshop.model.name, stream=True, partial_images=2, extra_body={"seed": 9}, **given
    )
    generation = soon(lambda: unfinished(ada))
    for number in range(3):  # one more than was asked for
        preview(generation, ada, b"preview %d" % number)
    with drawing(workshop, engine):
        told = list(stream)
    prefix = "image_edit" if call == "edit" else "image_generation"
    assert [each.type for each in told] == [f"{prefix}.partial_image"] * 2 + [f"{prefix}.completed"]
    assert [base64.b64decode(each.b64_json) for each in told[:2]] == [b"preview 0", b"preview 1"]
    assert [each.partial_image_index for each in told[:2]] == [0, 1]
    assert picture(base64.b64decode(told[-1].b64_json)).getpixel((0, 0)) == (9, 9, 9)
    assert told[-1].usage.total_tokens == ended(generation).credits


@pytest.mark.usefixtures("studio")
def test_a_stream_of_what_fails_ends_with_its_error(ours: OpenAI, workshop: Workshop, engine: StubEngine) -> None:
    from generation.engine.protocol import EngineError

    engine.failure = EngineError("model_unavailable", "Its files are gone.", permanent=True)
    with pytest.raises(openai.APIError) as failed:
        list(ours.images.generate(prompt="x", model=workshop.model.name, size="64x64", stream=True))
    assert failed.value.code == "model_unavailable"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("background", "transparent"), ("quality", "high"), ("size", "big"), ("size", "65x64"), ("n", 0), ("n", 20),
        ("output_format", "gif"), ("moderation", "low"), ("style", "vivid"), ("partial_images", 2), ("steps", "many"),
        ("output_compression", 50), ("nobody_knows", 1), ("prompt", ""), ("response_format", "svg"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_by_name(ours: OpenAI, workshop: Workshop, field: str, value: Any) -> None:
    asked = {"prompt": "x", "model": workshop.model.name, "size": "64x64", field: value}
    with pytest.raises(openai.BadRequestError) as refused:
        ours.post("/images/generations", body=asked, cast_to=object)
    error: Any = refused.value
    assert (error.param, error.type) == (field, "invalid_request_error")
    assert set(error.body) == {"message", "type", "param", "code"}
    assert field in error.message or error.message


EXCEPTIONS = {  # what went wrong → the client's own class, and the code
    "insufficient_credits": (openai.RateLimitError, "insufficient_quota"),
    "spend_cap_reached": (openai.RateLimitError, "insufficient_quota"),
    "quota_exceeded": (openai.RateLimitError, "insufficient_quota"),
    "rate_limited": (openai.RateLimitError, "rate_limit_exceeded"),
    "too_many_queued": (openai.RateLimitError, "rate_limit_exceeded"),
    "content_rejected": (openai.BadRequestError, "moderation_blocked"),
    "insufficient_scope": (openai.PermissionDeniedError, "insufficient_scope"),
    "tenant_suspended": (openai.PermissionDeniedError, "tenant_suspended"),
    "key_revoked": (openai.AuthenticationError, "invalid_api_key"),
    "token_expired": (openai.AuthenticationError, "invalid_api_key"),
    "idempotency_conflict": (openai.ConflictError, "idempotency_conflict"),
    "model_unavailable": (openai.InternalServerError, "model_unavailable"),
    "overloaded": (openai.InternalServerError, "overloaded"),
    "internal_error": (openai.InternalServerError, "internal_error"),
    # Endings, not refusals:
    "rejected": (openai.BadRequestError, "moderation_blocked"),
    "in_review": (openai.BadRequestError, "moderation_blocked"),
    "failed": (openai.InternalServerError, "internal_error"),
    "canceled": (openai.ConflictError, "already_finished"),
    "out_of_memory": (openai.InternalServerError, "internal_error"),
}


@pytest.mark.usefixtures("rehearsing")
@pytest.mark.parametrize("asked", EXCEPTIONS)
def test_errors_are_the_clients_own_exceptions(port: int, ada: Customer, workshop: Workshop, asked: str) -> None:
    kind, code = EXCEPTIONS[asked]
    rehearsal = client(port, another_key(ada, mode="test"))
    with pytest.raises(kind) as raised:
        rehearsal.images.generate(prompt=f"test:{asked}", model=workshop.model.name, size="64x64")
    assert type(raised.value) is kind
    assert raised.value.code == code
    assert raised.value.request_id
    if code == "insufficient_quota" or raised.value.status_code == 409:
        assert raised.value.response.headers["x-should-retry"] == "false"  # or else it would ask again, in vain


def test_an_empty_wallet_is_an_exhausted_quota(port: int, workshop: Workshop) -> None:
    poor = make_customer("Poor")
    with platform_role():
        ledger.take(poor.id, 10**9, operation_id="take:all", partial=True)
    with pytest.raises(openai.RateLimitError) as refused:
        client(port, poor).images.generate(prompt="x", model=workshop.model.name, size="64x64")
    assert refused.value.code == "insufficient_quota"


def test_a_prompt_that_is_blocked_is_a_bad_request(ours: OpenAI, ada: Customer, workshop: Workshop) -> None:
    with pytest.raises(openai.BadRequestError) as blocked:
        ours.images.generate(prompt="naked people having sex, explicit porn", model=workshop.model.name, size="64x64")
    (made,) = of(ada)
    assert (blocked.value.code, made.status) == ("moderation_blocked", "rejected")
    assert str(made.id) in blocked.value.message


def test_models_are_the_callers(ours: OpenAI, workshop: Workshop, bob: Customer) -> None:
    with platform_role():
        hers = make_workshop("nowhere").model
        changed("UPDATE generation_model SET tenant_id = %s WHERE id = %s", [bob.id, hers.id])
    names = {model.id for model in ours.models.list()}
    assert workshop.model.name in names
    assert hers.name not in names
    assert ours.models.retrieve(workshop.model.name).owned_by == "easel"
    for name in (hers.name, "gpt-image-2"):
        with pytest.raises(openai.NotFoundError) as unknown:
            ours.models.retrieve(name)
        assert unknown.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError):
            ours.images.generate(prompt="x", model=name)


def test_texts_and_pictures_are_moderated(ours: OpenAI) -> None:
    answer = ours.moderations.create(input=["a bowl of fruit on a table", "naked people having sex, explicit porn"])
    harmless, bad = answer.results
    assert not harmless.flagged
    assert bad.flagged
    assert bad.categories.sexual
    assert bad.category_scores.sexual > harmless.category_scores.sexual
    url = "data:image/png;base64," + base64.b64encode(png("RGB", (64, 64), "green")).decode()
    parts: Any = [{"type": "text", "text": "a lawn"}, {"type": "image_url", "image_url": {"url": url}}]
    (both,) = ours.moderations.create(input=parts).results
    assert not both.flagged
    for wrong in (
        [],
        [1],
        [{"type": "audio"}],
        [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}],
        [{"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}] * 2,
    ):
        with pytest.raises(openai.BadRequestError):
            ours.moderations.create(input=wrong)  # type: ignore[arg-type]


@pytest.mark.usefixtures("studio")
def test_ones_own_picture_is_moderated_by_its_address(
    ours: OpenAI, port: int, bob: Customer, workshop: Workshop
) -> None:
    drawn = ours.images.generate(prompt="x", model=workshop.model.name, size="64x64", response_format="url")
    parts: Any = [{"type": "image_url", "image_url": {"url": str((drawn.data or [])[0].url)}}]
    (judged,) = ours.moderations.create(input=parts).results
    assert judged.category_applied_input_types.sexual == ["image"]
    with pytest.raises(openai.BadRequestError) as refused:
        client(port, bob).moderations.create(input=parts)
    assert refused.value.param == "input.0"


def test_an_unknown_call_is_refused_in_the_same_form(ours: OpenAI, port: int) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        ours.chat.completions.create(model="x", messages=[])
    assert unknown.value.type == "invalid_request_error"
    with pytest.raises(openai.APIStatusError) as wrong:
        ours.get("/images/generations", cast_to=object)
    assert (wrong.value.status_code, wrong.value.code) == (405, "method_not_allowed")
    with pytest.raises(openai.BadRequestError):
        ours.post("/images/generations", content=b"{", cast_to=object)


def test_who_hangs_up_cancels_unless_the_call_has_a_name(port: int, ada: Customer, workshop: Workshop) -> None:
    hasty = client(port, ada, timeout=0.3)
    with pytest.raises(openai.APITimeoutError):
        hasty.images.generate(prompt="x", model=workshop.model.name, size="64x64")
    (given_up,) = of(ada)
    assert ended(given_up.id).status == "canceled"
    named = {"Idempotency-Key": "one apple"}
    with pytest.raises(openai.APITimeoutError):
        hasty.images.generate(prompt="x", model=workshop.model.name, size="64x64", extra_headers=named)
    waiting = unfinished(ada)
    with drawing(workshop, StubEngine()):
        answer = client(port, ada).images.generate(
            prompt="x", model=workshop.model.name, size="64x64", extra_headers=named
        )
    assert len(answer.data or []) == 1
    assert [str(each.id) for each in of(ada)] == [str(waiting), str(given_up.id)]


def test_waiting_calls_hold_no_thread(port: int, ada: Customer, workshop: Workshop) -> None:
    """More of them than the bridge has threads, and a status is read beside them as if they were not there."""
    calls = 24
    patient = client(port, ada)

    def draw(_: int) -> int:
        return len(patient.images.generate(prompt="x", model=workshop.model.name, size="64x64").data or [])

    with ThreadPoolExecutor(calls) as threads:
        drawn = [threads.submit(draw, number) for number in range(calls)]
        soon(lambda: len(of(ada)) == calls)
        assert len(patient.models.list().data) > 0
        with drawing(workshop, StubEngine(slots=8, step_seconds=0)):
            assert [each.result(30) for each in drawn] == [1] * calls
