"""Pictures that are given to start from rest encrypted for tenants that ask, and are erased with what used them."""

import tarfile
from pathlib import Path

import pytest

from easel.crypto import sealed_by_newest
from easel.database import platform_role, rows
from easel.storage import storage
from generation import erasure, inputs, sealed_images
from generation.models import Image, Input
from generation.production import Production
from tenants import export
from tenants.keys import data_key_of
from tenants.rotation import rotate_tenant
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended
from tests.generation.test_given_pictures import PNG, a_picture
from tests.rights.conftest import Draw, wish


@pytest.fixture
def given(ada: Customer) -> Input:
    wish(ada, seal_images=True)
    reference = inputs.store(a_picture(size=(64, 48)), tenant_id=ada.id)
    with platform_role():
        found: Input = Input.objects.get(id=reference.id)
    return found


def test_a_given_picture_is_unreadable_in_the_store_and_drawn_from(
    ada: Customer, given: Input, workshop: Workshop, production: Production
) -> None:
    body = {"init_image": str(given.id), "mask": PNG, "strength": 0.5, "steps": 4}
    generation_id = workshop.submit(ada, **body)
    objects = {key: storage().get(key) for key in storage().keys(f"t/{ada.id}/i/")}
    assert len(objects) == 2
    for content in objects.values():
        assert content[:4] == b"EASL"
        assert b"PNG" not in content
        assert b"IDAT" not in content
    production.drain(workshop.pool)
    assert ended(generation_id).status == "completed"


def test_one_that_rests_in_clear_is_encrypted_when_it_is_given_again(
    ada: Customer, workshop: Workshop, production: Production
) -> None:
    clear = inputs.store(a_picture(size=(64, 48)), tenant_id=ada.id)
    with platform_role():
        before = Input.objects.get(id=clear.id)
    wish(ada, seal_images=True)
    for _ in range(2):
        assert inputs.store(a_picture(size=(64, 48)), tenant_id=ada.id) == clear
    with platform_role():
        after = Input.objects.get(id=clear.id)
        doomed = rows("SELECT object_key FROM generation_doomedobject WHERE tenant_id = %s", [ada.id])
        assert not rows("SELECT 1 FROM generation_objectintent WHERE tenant_id = %s", [ada.id])
    assert doomed == [(before.object_key,)], "the one in clear goes, and the encrypted one is put once"
    assert storage().get(after.object_key)[:4] == b"EASL"
    generation_id = workshop.submit(ada, init_image=str(clear.id), strength=0.5, steps=4)
    production.drain(workshop.pool)
    assert ended(generation_id).status == "completed"


def test_the_same_pixels_are_drawn_from_as_without_the_wish(
    ada: Customer, bob: Customer, draw: Draw, workshop: Workshop
) -> None:
    wish(ada, seal_images=True)
    asked = {"init_image": PNG, "strength": 0.5, "steps": 4, "seed": 7}
    (sealed,), (plain,) = draw(ada, **asked), draw(bob, **asked)

    def pixels(image: Image) -> bytes:
        import io

        from PIL import Image as Pictures

        from generation import media

        with Pictures.open(io.BytesIO(media.fetch(image))) as picture:
            return picture.convert("RGB").tobytes()

    assert pixels(sealed) == pixels(plain)


def test_one_that_was_altered_in_the_store_is_not_drawn_from(
    ada: Customer, given: Input, workshop: Workshop, production: Production
) -> None:
    stored = bytearray(storage().get(given.object_key))
    stored[len(stored) // 2] ^= 1
    storage().put(given.object_key, bytes(stored), "application/octet-stream")
    generation_id = workshop.submit(ada, init_image=str(given.id))
    production.drain(workshop.pool)
    generation = ended(generation_id)
    assert (generation.status, generation.error_code, generation.credits) == ("failed", "input_damaged", 0)


def test_its_key_turns_with_the_tenants_and_its_export_is_in_clear(ada: Customer, given: Input, tmp_path: Path) -> None:
    before = storage().get(given.object_key)
    with platform_role():
        rotate_tenant(ada.id, settle=0)
        kept = Input.objects.get(id=given.id)
        key, context = data_key_of(ada.id), sealed_images.context(given.object_key)
        assert kept.key_sealed != given.key_sealed
        assert sealed_by_newest(kept.key_sealed, key=key, context=context)
        archive = export.export_tenant(ada.id, tmp_path / "ada.tar")
    assert storage().get(given.object_key) == before
    with tarfile.open(archive) as tar:
        (member,) = [each for each in tar.getmembers() if each.name.endswith(f"{given.id}.png")]
        file = tar.extractfile(member)
        assert file is not None
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"


def test_it_goes_with_the_last_generation_that_used_it(ada: Customer, given: Input, workshop: Workshop) -> None:
    first, second = (workshop.submit(ada, init_image=str(given.id), seed=seed) for seed in (1, 2))

    def a_day_later() -> bool:
        with platform_role():
            rows("UPDATE generation_input SET used_at = now() - interval '25 hours' WHERE id = %s", [given.id])
            inputs.forget_unused_inputs()
            return Input.objects.filter(id=given.id).exists()

    assert erasure.erase(ada.id, first)
    assert a_day_later()
    assert erasure.erase(ada.id, second)
    assert not a_day_later()
    with platform_role():
        doomed = rows("SELECT object_key FROM generation_doomedobject WHERE tenant_id = %s", [ada.id])
    assert (given.object_key,) in doomed


def test_no_upload_goes_straight_to_the_store(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage(), "_public_endpoint", "https://pictures.example.org")
    assert ada.client().post("/v1/uploads").status_code == 201
    wish(ada, seal_images=True)
    refused = ada.client().post("/v1/uploads")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert "POST /v1/inputs" in refused.json()["detail"]
