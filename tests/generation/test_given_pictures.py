"""Pictures to start from: base64 or an id, decoded and limited at the door, kept once, drawn from, priced right."""

import base64
import io
import zlib
from concurrent.futures import Future
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.conf import settings
from PIL import Image as Pictures

from billing.models import Hold
from easel.database import platform_role, rows
from easel.storage import ObjectStream, S3Storage, storage
from generation import inputs
from generation.engine.protocol import Admission, Drawn
from generation.models import Generation, Image, Input
from generation.production import Production
from generation.source import PostgresSource
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, until
from tests.generation.test_endings import flow, money
from tests.memory_storage import MemoryStorage
from tests.stub_engine import StubEngine


def a_picture(form: str = "png", size: tuple[int, int] = (64, 64), mode: str = "RGB", **options: Any) -> bytes:
    dice = np.random.default_rng(1)
    pixels = dice.integers(0, 255, (size[1], size[0], {"RGB": 3, "RGBA": 4}[mode]), dtype=np.uint8)
    file = io.BytesIO()
    Pictures.fromarray(pixels, mode).save(file, form, **options)
    return file.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


PNG = text(a_picture())
REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("a number", {"init_image": 7}, "init_image", "invalid"),
    ("no base64", {"init_image": "a picture!"}, "init_image", "invalid"),
    ("an empty text", {"init_image": ""}, "init_image", "invalid"),
    ("null", {"init_image": None}, "init_image", "null"),
    ("a data URL without base64", {"init_image": "data:image/png,abc"}, "init_image", "invalid"),
    ("base64 of something else", {"init_image": text(b"GIF89a" * 9)}, "init_image", "not_a_picture"),
    ("half a file", {"init_image": text(a_picture()[:900])}, "init_image", "damaged_picture"),
    ("a picture too large", {"init_image": text(a_picture(size=(8200, 20)))}, "init_image", "too_many_pixels"),
    ("an id that is nobody's", {"init_image": str(uuid4())}, "init_image", "unknown_image"),
    ("a mask alone", {"mask": PNG}, "mask", "needs_another_field"),
    ("a strength alone", {"strength": 0.5}, "strength", "needs_another_field"),
    ("a strength of 0", {"init_image": PNG, "strength": 0}, "strength", "min_value"),
    ("a strength over 1", {"init_image": PNG, "strength": 1.1}, "strength", "max_value"),
    ("less than a step", {"init_image": PNG, "strength": 0.4, "steps": 2}, "strength", "no_steps_left"),
    ("a clip_skip of 0", {"clip_skip": 0}, "clip_skip", "min_value"),
    ("min_steps alone", {"min_steps": 1}, "min_steps", "needs_another_field"),
    ("more min_steps than steps", {"quality_target": 0.9, "min_steps": 3}, "min_steps", "more_than_steps"),
    ("a quality_target over 1", {"quality_target": 2}, "quality_target", "max_value"),
]


@pytest.mark.parametrize(("fields", "named", "code"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_what_cannot_be_is_named(
    ada: Customer, workshop: Workshop, fields: dict[str, Any], named: str, code: str
) -> None:
    answer = ada.client().post("/v1/generations", workshop.body(**fields), format="json")
    assert answer.status_code == 400, answer.content
    assert [(each["field"], each["code"]) for each in answer.json()["errors"]] == [(named, code)]
    with platform_role():
        assert not Hold.objects.filter(tenant=ada.tenant).exists()


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_a_picture_is_kept_as_our_own_png(ada: Customer, form: str) -> None:
    options = {"exif": a_turned_exif()} if form == "jpeg" else {}
    reference = inputs.store(a_picture(form, (40, 24), **options), tenant_id=ada.id)
    with platform_role():
        kept = Input.objects.get(id=reference.id)
    assert kept.object_key == f"t/{ada.id}/i/{reference.id}.png"
    with Pictures.open(io.BytesIO(storage().get(kept.object_key))) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        assert picture.size == (reference.width, reference.height) == ((24, 40) if form == "jpeg" else (40, 24))
        assert not picture.getexif()


def a_turned_exif() -> Pictures.Exif:
    exif = Pictures.Exif()
    exif[0x0112] = 6  # turned by 90°
    return exif


def test_an_equal_picture_is_kept_once_for_each_tenant(ada: Customer, bob: Customer) -> None:
    first, again = (inputs.store(a_picture(), tenant_id=ada.id) for _ in range(2))
    assert first == again
    assert inputs.store(a_picture(), tenant_id=bob.id).id != first.id


def test_one_whose_object_is_gone_can_be_given_again(ada: Customer, workshop: Workshop, production: Production) -> None:
    first = inputs.store(a_picture(size=(24, 24)), tenant_id=ada.id)
    lost = f"t/{ada.id}/i/{first.id}.png"
    storage().delete(lost)
    again = inputs.store(a_picture(size=(24, 24)), tenant_id=ada.id)
    assert again == first
    with platform_role():
        kept = Input.objects.get(id=first.id)
        assert not rows("SELECT 1 FROM generation_objectintent WHERE tenant_id = %s", [ada.id])
        doomed = rows("SELECT object_key FROM generation_doomedobject WHERE tenant_id = %s", [ada.id])
    assert kept.object_key != lost
    assert doomed == [(lost,)]
    generation_id = workshop.submit(ada, init_image=str(first.id), strength=0.5, steps=4)
    production.drain(workshop.pool)
    assert ended(generation_id).status == "completed"


def test_where_the_store_does_not_answer_a_known_picture_is_taken_to_be_there(
    ada: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = inputs.store(a_picture(), tenant_id=ada.id)
    away = S3Storage(**{**settings.S3, "endpoint": "http://127.0.0.1:9"})
    monkeypatch.setattr(inputs, "storage", lambda: away)
    assert inputs.store(a_picture(), tenant_id=ada.id) == first


def test_another_tenants_picture_is_not_there(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    reference = inputs.store(a_picture(), tenant_id=ada.id)
    body = workshop.body(init_image=str(reference.id))
    assert ada.client().post("/v1/generations", body, format="json").status_code == 202
    answer = bob.client().post("/v1/generations", body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_image")


def test_the_clock_forgets_only_what_nothing_uses(ada: Customer, workshop: Workshop) -> None:
    used = inputs.store(a_picture(), tenant_id=ada.id)
    workshop.submit(ada, init_image=str(used.id))
    unused = inputs.store(a_picture(size=(32, 32)), tenant_id=ada.id)
    fresh = inputs.store(a_picture(size=(48, 48)), tenant_id=ada.id)
    with platform_role():
        rows(
            "UPDATE generation_input SET used_at = now() - interval '25 hours' WHERE id = ANY(%s)",
            [[used.id, unused.id]],
        )
        inputs.forget_unused_inputs()
        assert set(Input.objects.filter(tenant=ada.tenant).values_list("id", flat=True)) == {used.id, fresh.id}
        doomed = rows("SELECT object_key FROM generation_doomedobject WHERE tenant_id = %s", [ada.id])
    assert doomed == [(f"t/{ada.id}/i/{unused.id}.png",)]


def test_fewer_steps_cost_less_and_quotes_say_so(ada: Customer, workshop: Workshop) -> None:
    dear = workshop.body(steps=100, width=512, height=512)
    from_picture = dear | {"init_image": PNG, "strength": 0.25}
    whole, quarter = (
        ada.client().post("/v1/quotes", body, format="json").json()["credits"] for body in (dear, from_picture)
    )
    assert whole == 27
    assert quarter == 7
    with platform_role():
        assert not Input.objects.filter(tenant=ada.tenant).exists()  # a quote keeps nothing
    made = ada.client().post("/v1/generations", from_picture, format="json").json()
    assert made["quote"] == {"credits": 7}
    with platform_role():
        assert Generation.objects.get(id=made["id"]).work == pytest.approx(25 * 0.512 * 0.512)


def test_a_quote_binds_only_for_as_many_steps(ada: Customer, workshop: Workshop) -> None:
    body = workshop.body(steps=100, init_image=PNG, strength=0.25)
    word = ada.client().post("/v1/quotes", body, format="json").json()["quote"]
    answer = ada.client().post("/v1/generations", body | {"strength": 1.0, "quote": word}, format="json")
    assert answer.json()["errors"][0]["code"] == "quote_mismatch"


def test_the_size_is_the_pictures_unless_told_otherwise(ada: Customer, workshop: Workshop) -> None:
    body = {"prompt": "a cat", "model": workshop.model.name, "init_image": text(a_picture(size=(300, 100)))}
    made = ada.client().post("/v1/generations", body, format="json").json()
    assert (made["width"], made["height"]) == (304, 96)
    told = ada.client().post("/v1/generations", body | {"width": 64, "height": 128}, format="json").json()
    assert (told["width"], told["height"]) == (64, 128)


def test_a_picture_becomes_another(ada: Customer, workshop: Workshop, production: Production) -> None:
    first = workshop.submit(ada)
    production.drain(workshop.pool)
    ended(first)
    with platform_role():
        image_id = Image.objects.get(generation_id=first).id
    second = workshop.submit(ada, init_image=str(image_id), mask=PNG, strength=0.5, steps=4, n=2)
    production.drain(workshop.pool)
    generation = ended(second)
    assert (generation.status, generation.error_code) == ("completed", "")
    assert generation.steps_run == 2 * 2
    told = ada.client().get(f"/v1/generations/{second}").json()
    assert told["strength"] == 0.5
    assert UUID(told["init_image"]) != image_id  # a copy of its own: the first may be deleted
    assert UUID(told["mask"])


def test_a_picture_that_storage_lost_fails_for_good(ada: Customer, workshop: Workshop, production: Production) -> None:
    reference = inputs.store(a_picture(size=(24, 24)), tenant_id=ada.id)
    storage().delete(f"t/{ada.id}/i/{reference.id}.png")
    generation_id = workshop.submit(ada, init_image=str(reference.id), n=2)
    production.drain(workshop.pool)
    generation = ended(generation_id)
    assert (generation.status, generation.error_code, generation.credits) == ("failed", "input_missing", 0)


@pytest.mark.parametrize("damage", ["cut", "not a picture", "empty", "said to be huge"])
def test_a_picture_that_was_damaged_in_storage_fails_for_good(
    ada: Customer, workshop: Workshop, production: Production, damage: str
) -> None:
    reference = inputs.store(a_picture(), tenant_id=ada.id)
    object_key = f"t/{ada.id}/i/{reference.id}.png"
    storage().put(object_key, damaged(storage().get(object_key), damage), "image/png")
    generation_id = workshop.submit(ada, init_image=str(reference.id), n=2)
    production.drain(workshop.pool)
    generation = ended(generation_id)
    assert (generation.status, generation.error_code, generation.credits) == ("failed", "input_damaged", 0)
    assert generation.attempts == 1
    until(lambda: production.standing()["jobs"] == 0)
    assert money(ada) == (10_000, 0)
    assert flow(ada) == (0, 0)


def damaged(file: bytes, damage: str) -> bytes:
    huge = (50_000).to_bytes(4) * 2
    header = file[12:16] + huge + file[24:29]
    said_to_be_huge = file[:12] + header + zlib.crc32(header).to_bytes(4) + file[33:]
    return {
        "cut": file[: len(file) // 2], "not a picture": b"GIF89a" * 9, "empty": b"", "said to be huge": said_to_be_huge,
    }[damage]  # fmt: skip


class Baffling(MemoryStorage):
    """It fails in a way that nobody has thought of."""

    def stream(self, key: str, span: tuple[int, int] | None = None) -> ObjectStream:
        raise ZeroDivisionError(key)


def test_a_job_that_cannot_be_taken_up_is_given_back_until_its_last_attempt(ada: Customer, workshop: Workshop) -> None:
    reference = inputs.store(a_picture(), tenant_id=ada.id)
    generation_id = workshop.submit(ada, init_image=str(reference.id))
    with closing(Production(source=PostgresSource(), engine=StubEngine(), storage=Baffling())) as production:
        production.drain(workshop.pool)
        generation = ended(generation_id)
        assert (generation.status, generation.error_code) == ("failed", "attempts_exhausted")
        assert (generation.attempts, generation.credits) == (settings.MAX_ATTEMPTS, 0)
        assert production.standing()["jobs"] == 0
    assert (money(ada), flow(ada)) == ((10_000, 0), (0, 0))


class Unwilling(StubEngine):
    """It takes nothing, and says so in no way that it should."""

    def admit(self, admission: Admission) -> "Future[Drawn]":
        raise ZeroDivisionError


def test_a_job_that_the_engine_does_not_take_is_given_back_until_its_last_attempt(
    ada: Customer, workshop: Workshop
) -> None:
    generation_id = workshop.submit(ada, n=2)
    with closing(Production(source=PostgresSource(), engine=Unwilling(), storage=MemoryStorage())) as production:
        for _ in range(settings.MAX_ATTEMPTS):
            production.drain(workshop.pool)
            until(lambda: production.standing()["jobs"] == 0)
        generation = ended(generation_id)
        assert (generation.status, generation.error_code) == ("failed", "attempts_exhausted")
        assert production.standing()["jobs"] == 0
    assert (money(ada), flow(ada)) == ((10_000, 0), (0, 0))
