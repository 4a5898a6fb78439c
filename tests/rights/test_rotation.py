"""Keys are renewed while everything goes on, by commands that can be interrupted anywhere."""

import base64
import os
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client, override_settings

from easel.crypto import (
    KEY_BYTES,
    DataKey,
    TamperedSeal,
    UnknownKeyVersion,
    fingerprint,
    open_data_key,
    open_sealed,
    seal,
)
from easel.database import changed, platform_role, rows
from easel.identifiers import new_id
from easel.key_providers import new_word
from tenants import escrow, keys, rotation
from tenants.accounts import SecondFactorAdapter
from tenants.management.commands import rotate_platform_key, rotate_tenant_key
from tenants.models import KeyRotation, Tenant, User
from tenants.platform_secrets import platform_secret
from tests.cast import Customer, make_customer
from tests.generation.conftest import Workshop
from tests.rights.conftest import Draw, wish


def key_of(customer: Customer) -> DataKey:
    with platform_role():
        return keys.data_key_of(customer.id)


def rotate(customer: Customer, **options: Any) -> int:
    with platform_role():
        return rotation.rotate_tenant(customer.id, **{"settle": 0, **options}).sealed_anew


def test_a_tenants_values_are_sealed_anew_and_nothing_is_lost(ada: Customer, draw: Draw) -> None:
    wish(ada, seal_images=True)
    (image,) = draw(ada, prompt="a red apple")
    client = ada.client()
    path = f"/v1/generations/{image.generation_id}"
    picture = Client().get(client.get(path).json()["images"][0]["url"]).content
    before = key_of(ada)

    assert rotate(ada) >= 4  # two prompts, an image's key, an API secret
    keys.forget_all()
    after = key_of(ada)
    assert after.material != before.material
    assert after.others == ()
    body = client.get(path).json()
    assert body["prompt"] == "a red apple"
    assert Client().get(body["images"][0]["url"]).content == picture
    record = keys.find(ada.key.public_id)
    assert record is not None
    assert record.secret.decode() == ada.secret
    with platform_role():
        ((sealed,),) = rows("SELECT prompt_sealed FROM generation_generation WHERE id = %s", [image.generation_id])
    with pytest.raises(TamperedSeal):
        open_sealed(sealed, key=before, context=b"generation.prompt:" + image.generation_id.bytes)
    assert fingerprint(after, b"x") == fingerprint(before, b"x")  # idempotency keys and the cache go on


@pytest.mark.parametrize("step", ["_announce", "_promote", "_seal_anew", "_retire"])
def test_an_interrupted_rotation_goes_on_and_everything_works_meanwhile(
    ada: Customer, workshop: Workshop, step: str
) -> None:
    first = workshop.submit(ada, prompt="before")
    with patch.object(rotation, step, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        rotate(ada)
    keys.forget_all()
    second = workshop.submit(ada, prompt="meanwhile")
    prompts = [ada.client().get(f"/v1/generations/{each}").json()["prompt"] for each in (first, second)]
    assert prompts == ["before", "meanwhile"]
    rotate(ada)
    keys.forget_all()
    prompts = [ada.client().get(f"/v1/generations/{each}").json()["prompt"] for each in (first, second)]
    assert prompts == ["before", "meanwhile"]
    assert key_of(ada).others == ()
    with platform_role():
        assert not KeyRotation.objects.filter(tenant_id=ada.id).exists()


def restored(customer: Customer, *between: bytes) -> DataKey:
    """A restore gives back every key of the tenant's past: a newer one seals, what there is was sealed by the last."""
    old = key_of(customer)
    ring = DataKey(os.urandom(KEY_BYTES), (*between, old.material), old.for_hmac)
    with platform_role():
        rotation._store(customer.id, ring)
    keys.forget_all()
    return ring


def test_older_keys_that_came_with_a_restore_open_until_nothing_is_left_under_them(
    ada: Customer, workshop: Workshop
) -> None:
    generation = workshop.submit(ada, prompt="before the restore")
    ring = restored(ada)
    with patch.object(rotation, "_seal_anew", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        rotate(ada)
    keys.forget_all()
    assert ada.client().get(f"/v1/generations/{generation}").json()["prompt"] == "before the restore"
    rotate(ada)
    keys.forget_all()
    assert ada.client().get(f"/v1/generations/{generation}").json()["prompt"] == "before the restore"
    assert key_of(ada).others == ()
    assert key_of(ada).material not in {ring.material, *ring.others}


def test_a_rotation_that_was_under_way_when_its_place_was_restored_comes_to_its_end(
    ada: Customer, workshop: Workshop
) -> None:
    generation = workshop.submit(ada, prompt="before the restore")
    restored(ada, os.urandom(KEY_BYTES))
    with platform_role():
        KeyRotation.objects.create(tenant_id=ada.id, stage="announced")
    rotate(ada)
    keys.forget_all()
    assert ada.client().get(f"/v1/generations/{generation}").json()["prompt"] == "before the restore"


def test_a_value_that_no_key_opens_is_named_and_keeps_the_older_keys_and_nothing_else(
    ada: Customer, bob: Customer, workshop: Workshop
) -> None:
    damaged, whole = workshop.submit(ada, prompt="a red apple"), workshop.submit(ada, prompt="a green pear")
    others = workshop.submit(bob, prompt="a plum")
    with platform_role():
        changed("UPDATE generation_generation SET prompt_sealed = '\\xab' WHERE id = %s", [damaged])
    before, bobs = key_of(ada), key_of(bob)
    told = StringIO()
    found = [(customer.id, customer.tenant.slug) for customer in (ada, bob)]
    with patch.object(rotate_tenant_key, "rows", return_value=found), pytest.raises(CommandError) as failed:
        call_command("rotate_tenant_key", "--all", "--settle", "0", stdout=StringIO(), stderr=told)
    assert str(failed.value) == f"Not done to the end, see above: {ada.tenant.slug}."
    assert f"generation_generation.prompt_sealed {damaged}" in told.getvalue()
    keys.forget_all()
    after = key_of(ada)
    assert (after.material != before.material, after.others) == (True, (before.material,))
    assert key_of(bob).others == ()
    assert key_of(bob).material != bobs.material
    assert ada.client().get(f"/v1/generations/{whole}").json()["prompt"] == "a green pear"
    assert bob.client().get(f"/v1/generations/{others}").json()["prompt"] == "a plum"
    with platform_role():
        assert not KeyRotation.objects.filter(tenant_id=ada.id).exists()

    assert ada.client().delete(f"/v1/generations/{damaged}").status_code == 204
    rotate(ada)
    assert key_of(ada).others == ()


def test_a_process_that_has_not_heard_of_the_new_key_yet_loses_nothing(ada: Customer) -> None:
    """What it seals with the old key opens, and what others seal with the new one it can open, at every step."""
    stages = [key_of(ada)]
    for step in ("_promote", "_seal_anew", "_retire"):
        with patch.object(rotation, step, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
            rotate(ada)
        stages.append(key_of(ada))
    old, announced, promoted = stages[0], stages[1], stages[2]
    assert announced.material == old.material
    assert promoted.material == announced.others[0]
    for late, early in ((announced, old), (promoted, announced)):
        assert open_sealed(seal(b"late", key=late, context=b""), key=early, context=b"") == b"late"
        assert open_sealed(seal(b"early", key=early, context=b""), key=late, context=b"") == b"early"
    rotate(ada)


def test_each_step_waits_until_every_process_knows(ada: Customer) -> None:
    slept: list[float] = []
    with patch.object(rotation.time, "sleep", side_effect=[slept.append, KeyboardInterrupt]) as sleep:
        with pytest.raises(KeyboardInterrupt):
            rotate(ada, settle=60)
        assert [0 < call.args[0] <= 60 for call in sleep.call_args_list] == [True, True]
    with platform_role():
        assert KeyRotation.objects.get(tenant_id=ada.id).stage == "announced"
    assert rotation.SETTLE_SECONDS > 5 * keys.REMEMBER_SECONDS
    rotate(ada)


def test_the_platform_key_is_replaced_without_an_interruption(ada: Customer, tmp_path: Path) -> None:
    old, new = settings.PLATFORM_KEYS[0], new_word(2)
    with override_settings(KEY_ESCROW=str(tmp_path / "keys.escrow")), platform_role():
        secret = platform_secret("test-rotation", lambda: b"kept")
        person = User.objects.create_user(f"{new_id().hex}@example.org", "correct horse battery")
        factor = Authenticator.objects.create(
            user=person, type="totp", data={"secret": SecondFactorAdapter().encrypt("JBSWY3DP"), "other": "1:2:3"}
        )
        escrow.collect()
        before = key_of(ada)
        try:
            with override_settings(PLATFORM_KEYS=[new, old]):
                said = StringIO()
                call_command("rotate_platform_key", stdout=said)
                assert "Sealed anew with platform key 2" in said.getvalue()
                assert rotation.rotate_platform() == 0
            with override_settings(PLATFORM_KEYS=[new]):  # nothing needs the old key any more
                keys.forget_all()
                assert key_of(ada) == before
                assert platform_secret("test-rotation", lambda: b"") == secret
                factor.refresh_from_db()
                assert SecondFactorAdapter().decrypt(factor.data["secret"]) == "JBSWY3DP"
                assert factor.data["other"] == "1:2:3"
                kept = escrow.read(escrow.path()).data_key(ada.id)
                assert kept is not None
                assert (kept.material, kept.for_hmac) == (before.material, before.for_hmac)
                assert ada.client().get("/v1/account").status_code == 200
            with override_settings(PLATFORM_KEYS=[old]), pytest.raises(UnknownKeyVersion):
                key_of(ada)
        finally:
            with override_settings(PLATFORM_KEYS=[old, new]):
                rotation.rotate_platform()
            keys.forget_all()
        assert key_of(ada) == before


def test_the_command_ends_only_when_nothing_is_left_under_another_key() -> None:
    said = StringIO()
    with patch.object(rotate_platform_key, "rotate_platform", side_effect=[3, 1, 0]):
        call_command("rotate_platform_key", stdout=said)
    assert ": 4. Nothing is left" in said.getvalue()


def test_what_somebody_else_changes_in_that_moment_is_not_said_to_be_done(ada: Customer, tmp_path: Path) -> None:
    old, new = settings.PLATFORM_KEYS[0], new_word(4)
    with override_settings(KEY_ESCROW=str(tmp_path / "none"), PLATFORM_KEYS=[new, old]), platform_role():
        with patch.object(rotation, "changed", return_value=0):
            assert rotation.rotate_platform() > 0
        assert Tenant.objects.get(id=ada.id).data_key_version != 4


def test_an_interrupted_rotation_of_the_platform_key_goes_on(ada: Customer, bob: Customer, tmp_path: Path) -> None:
    old, new = settings.PLATFORM_KEYS[0], new_word(3)
    with override_settings(KEY_ESCROW=str(tmp_path / "keys.escrow"), PLATFORM_KEYS=[new, old]), platform_role():
        with (
            patch.object(rotation, "changed", side_effect=[1, KeyboardInterrupt]),
            pytest.raises(KeyboardInterrupt),
        ):
            rotation.rotate_platform()
        assert {key_of(customer).material for customer in (ada, bob)}
        assert rotation.rotate_platform() > 0
        assert set(Tenant.objects.exclude(data_key=b"").values_list("data_key_version", flat=True)) == {3}
    with override_settings(PLATFORM_KEYS=[old, new]), platform_role():
        rotation.rotate_platform()
    keys.forget_all()


def test_the_command_rotates_one_tenant_by_its_slug() -> None:
    customer = make_customer("Rotating")
    before = key_of(customer)
    said = StringIO()
    call_command("rotate_tenant_key", "--tenant", customer.tenant.slug, "--settle", "0", stdout=said)
    assert f"{customer.tenant.slug}: done" in said.getvalue()
    assert key_of(customer).material != before.material
    assert base64.b64encode(key_of(customer).material).decode() not in said.getvalue()


def test_a_packed_ring_opens_again() -> None:
    key = DataKey(b"a" * 32, (b"b" * 32,), b"f" * 32)
    assert DataKey.unpack(key.packed) == key
    assert DataKey.unpack(DataKey(b"a" * 32).packed) == DataKey(b"a" * 32)
    for spoiled in (b"", b"a" * 31, b"a" * 65):
        with pytest.raises(TamperedSeal):
            DataKey.unpack(spoiled)
    assert open_data_key is not None
