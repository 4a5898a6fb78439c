"""Both clients against Easel's own processes, over the network."""

import hashlib
import io
import time
from pathlib import Path

import anyio
import httpx
import pytest
from PIL import Image as PILImage

from easel_client import AsyncEasel, Easel, errors
from tests.cast import Customer, make_customer
from tests.sdk.conftest import QUICK
from tests.sdk.town import Town


def test_a_picture_is_generated_and_saved(easel: Easel, tmp_path: Path) -> None:
    made = easel.generate("a red apple", steps=2, width=128, height=64, seed=7, metadata={"order": "17"})
    assert (made.status, made.seed, made.n, made.metadata) == ("completed", 7, 1, {"order": "17"})
    path = made.images[0].save(tmp_path / "new" / "apple.png")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == made.images[0].sha256
    assert PILImage.open(path).size == (128, 64)
    assert [*path.parent.iterdir()] == [path]
    assert made.credits is not None
    assert made.quoted is not None
    assert made.credits <= made.quoted


def test_what_was_submitted_can_be_waited_for_listed_read_and_erased(easel: Easel) -> None:
    submitted = [easel.submit(f"apple {number}", steps=2, n=2) for number in range(3)]
    done = [each.wait() for each in submitted]
    assert {each.status for each in done} == {"completed"}
    assert [image.index for image in done[0].images] == [0, 1]
    assert [each.id for each in easel.list(status="completed")] == [each.id for each in reversed(submitted)]
    assert easel.status(done[0]).progress == 1.0
    assert done[0].refresh().prompt == "apple 0"
    done[0].delete()
    with pytest.raises(errors.NotFound):
        easel.get(done[0])


def test_one_idempotency_key_makes_one_generation(easel: Easel) -> None:
    first, second = (easel.submit("an apple", idempotency_key="order-17", steps=2) for _ in range(2))
    assert first.id == second.id
    with pytest.raises(errors.IdempotencyConflict):
        easel.submit("a pear", idempotency_key="order-17")


def test_events_are_followed_to_the_end(easel: Easel) -> None:
    submitted = easel.submit("an apple", steps=40)
    events = list(submitted.stream())
    assert (events[-1].kind, events[-1].status) == ("done", "completed")
    assert {event.generation_id for event in events} == {submitted.id}
    assert any(event.kind == "progress" and 0 < (event.progress or 0) < 1 for event in events)


def test_a_running_generation_is_canceled(easel: Easel) -> None:
    submitted = easel.submit("an apple", steps=150, width=512, height=512)
    assert submitted.cancel() in {"canceled", "running"}
    with pytest.raises(errors.GenerationCanceled) as caught:
        submitted.wait(timeout=20)
    assert caught.value.generation.id == submitted.id
    waiting = [easel.submit("an apple", steps=150, metadata={"batch": "b"}) for _ in range(2)]
    stopped = easel.cancel_many(metadata={"batch": "b"})
    assert {*stopped.canceled, *stopped.stopping} == {each.id for each in waiting}


def test_a_quote_binds_and_what_surrounds_it_can_be_read(easel: Easel, easel_town: Town) -> None:
    quote = easel.quote("an apple", steps=2, n=2)
    made = easel.generate("an apple", steps=2, n=2, quote=quote.quote)
    assert made.credits == quote.credits
    assert (quote.model, easel.models()[0].name) == (easel_town.model, easel_town.model)
    assert any(sampler.name == "Euler a" for sampler in easel.samplers())
    account = easel.account()
    assert account.name == "Ada"
    assert account.available > 0
    usage = easel.usage(group_by="model")
    assert usage.total["generations"] == 1
    assert usage.data[0]["model"] == easel_town.model
    assert usage.first.endswith("-01")


def test_words_and_pictures_are_judged_without_being_drawn(easel: Easel) -> None:
    assert (easel.moderate("a red apple").action, easel.moderate("a red apple").flagged) == ("allow", False)
    picture = easel.generate("an apple", steps=2, width=64, height=64).images[0].read()
    assert easel.moderate(picture).action == "allow"
    assert easel.usage().total["generations"] == 1


def test_pictures_lead_to_pictures(easel: Easel) -> None:
    parent = easel.generate("an apple", steps=8, width=64, height=64)
    given = parent.images[0].read()
    kept = easel.upload(given)
    assert (kept.width, kept.height) == (64, 64)
    assert easel.submit("a pear", init_image=kept.id, steps=2).raw["init_image"] == kept.id
    assert easel.submit("a pear", init_image=given, steps=2).raw["init_image"]
    assert easel.generate("a pear", reuse=False, steps=4).images[0].vary(strength=0.5).status in {"queued", "running"}
    assert parent.images[0].upscale(2.0).width == 128


def test_keys_and_webhooks_are_managed(easel: Easel) -> None:
    made = easel.keys.create("ci", ["generations:read"], mode="test")
    assert made.secret is not None
    with Easel(easel.base_url, made.id, made.secret, retry=QUICK) as other:
        assert list(other.list()) == []
        with pytest.raises(errors.InsufficientScope):
            other.submit("an apple")
    assert easel.keys.change(made.id, name="ci 2").name == "ci 2"
    rotated = easel.keys.rotate(made.id, overlap_seconds=60)
    assert rotated.secret not in {None, made.secret}
    easel.keys.revoke(made.id)
    assert easel.keys.get(made.id).revoked_at is not None
    assert made.id in {each.id for each in easel.keys.list()}
    endpoint = easel.webhooks.create("https://example.com/hook", ["generation.completed"], description="shop")
    assert str(endpoint.secret).startswith("whsec_")
    assert easel.webhooks.rotate_secret(endpoint.id).secret not in {None, endpoint.secret}
    assert easel.webhooks.change(endpoint.id, enabled=False).enabled is False
    assert [each.id for each in easel.webhooks.list()] == [endpoint.id]
    assert list(easel.webhooks.deliveries(endpoint.id)) == []
    easel.webhooks.delete(endpoint.id)
    assert easel.webhooks.default_secret().startswith("whsec_")


def test_an_old_token_is_replaced_without_anybody_noticing(easel: Easel) -> None:
    easel.models()
    easel._session.tokens._token.text += "x"  # type: ignore[attr-defined]  # as if the server's key ring had turned
    assert easel.models()


def test_the_secret_may_stay_here(easel_town: Town, ada: Customer) -> None:
    asked: list[str] = []
    http = httpx.Client(event_hooks={"request": [lambda request: asked.append(request.url.path)]})
    with Easel(easel_town.base_url, ada.key.public_id, ada.secret, self_signed=True, http=http) as easel:
        easel.generate("an apple", steps=2)
        easel.models()
    assert "/oauth/token" not in asked


@pytest.mark.parametrize("algorithm", [True, "aes-256-gcm"])
def test_sealed_calls_say_nothing_in_clear(easel_town: Town, ada: Customer, algorithm: bool | str) -> None:
    wire: list[bytes] = []

    def heard(response: httpx.Response) -> None:
        wire.extend([response.request.content, response.read()])

    http = httpx.Client(event_hooks={"response": [heard]})
    with Easel(easel_town.base_url, ada.key.public_id, ada.secret, sealed=algorithm, http=http) as easel:
        made = easel.generate("a secret apple", steps=2)
        assert made.prompt == "a secret apple"
        picture = made.images[0].read()
        assert PILImage.open(io.BytesIO(picture)).size == (made.width, made.height)
        with pytest.raises(errors.InvalidRequest, match="steps"):
            easel.submit("a secret pear", steps=1000)
        with pytest.raises(errors.NotSealed):
            next(made.stream())
        made.delete()
        with pytest.raises(errors.NotFound):
            easel.get(made)
    assert len(wire) > 8
    assert not any(b"secret" in each or b"\x89PNG" in each for each in wire)


def test_an_answer_in_clear_is_not_taken_for_a_sealed_one(ada: Customer) -> None:
    forged = httpx.MockTransport(lambda request: httpx.Response(200, json={"data": []}))
    with (
        Easel(
            "http://easel.test", ada.key.public_id, ada.secret, sealed=True, http=httpx.Client(transport=forged)
        ) as e,
        pytest.raises(errors.NotSealed),
    ):
        e.models()


def test_fifty_tasks_share_one_token_and_draw_at_the_same_time(easel_town: Town) -> None:
    customer = make_customer("Crowd")
    asked: list[str] = []

    async def heard(request: httpx.Request) -> None:
        asked.append(request.url.path)

    async def crowd() -> set[str]:
        http = httpx.AsyncClient(event_hooks={"request": [heard]})
        found: set[str] = set()
        async with AsyncEasel(easel_town.base_url, customer.key.public_id, customer.secret, http=http) as easel:

            async def one(number: int) -> None:
                made = await easel.generate(f"apple {number}", steps=2)
                assert len(await made.images[0].read()) == made.images[0].bytes
                found.add(made.id)

            async with anyio.create_task_group() as tasks:
                for number in range(50):
                    tasks.start_soon(one, number)
            assert {each.id async for each in easel.list()} == found
        return found

    assert len(anyio.run(crowd)) == 50
    assert asked.count("/oauth/token") == 1


def test_an_asynchronous_client_follows_events_and_saves(easel_town: Town, ada: Customer, tmp_path: Path) -> None:
    async def story() -> Path:
        async with AsyncEasel(easel_town.base_url, ada.key.public_id, ada.secret) as easel:
            submitted = await easel.submit("an apple", steps=30)
            kinds = [event.kind async for event in submitted.stream()]
            assert kinds[-1] == "done"
            assert "progress" in kinds
            made = await submitted.wait()
            return await made.images[0].save(tmp_path / "apple.png")

    assert PILImage.open(anyio.run(story)).format == "PNG"


def test_a_client_without_a_server_fails_in_time_and_says_where(ada: Customer) -> None:
    begun = time.monotonic()
    with (
        Easel("http://127.0.0.1:9", ada.key.public_id, ada.secret, retry=QUICK) as easel,
        pytest.raises(errors.ConnectionFailed, match="oauth/token"),
    ):
        easel.models()
    assert time.monotonic() - begun < 10


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="api_key is missing: give it, or set EASEL_API_KEY"):
        Easel("http://127.0.0.1:9")
    with pytest.raises(ValueError, match="http://"):
        Easel("example.com", "ek", "es")


@pytest.mark.parametrize("url", ["http://ada:hush@127.0.0.1:9", "http://127.0.0.1:9/?x=1", "http://127.0.0.1:9/#/docs"])
def test_an_address_that_would_lead_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        Easel(url, "ek", "es")
    assert "hush" not in str(caught.value)
