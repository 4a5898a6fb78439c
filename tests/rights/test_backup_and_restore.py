"""A backup brings everything back in an empty place; it holds no key; and what was erased since stays unreadable."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from easel.crypto import CryptoError, KeyRing, TamperedSeal, open_data_key, open_sealed
from easel.database import platform_role, rows
from easel.embedded.stack import Stack
from easel.embedded.var import ROOT
from easel.identifiers import new_id
from easel.key_providers import LocalKeys, new_word
from easel.storage import storage
from generation import media
from tenants import erasure, escrow, keys
from tenants.backup import backup as backups
from tenants.backup import closed_file
from tenants.backup.manifest import Manifest
from tenants.backup.restore import restore
from tenants.models import KeyRotation
from tenants.rotation import rotate_tenant
from tests.cast import Customer, make_customer
from tests.generation.conftest import Workshop
from tests.rights.conftest import Draw, Vault, wish

WORD = "xylophone-orchard"  # in nothing but our prompts


def erase(customer: Customer) -> None:
    with platform_role(), patch.object(keys, "REMEMBER_SECONDS", 0.1):
        erasure.erase_tenant(customer.id)


@pytest.fixture(scope="module")
def empty_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Services of another installation, with passwords and a platform key of its own, and nothing in them."""
    with Stack(tmp_path_factory.mktemp("elsewhere") / "var", durable=False, report=lambda *_: None) as place:
        place.start()
        yield place


def test_everything_comes_back_in_an_empty_place_and_a_picture_can_be_drawn(
    ada: Customer, bob: Customer, draw: Draw, workshop: Workshop, vault: Vault, empty_place: Stack
) -> None:
    wish(ada, seal_images=True)
    (sealed,) = draw(ada, prompt=f"{WORD} in May")
    (plain,) = draw(bob, prompt=f"{WORD} in June")
    nobodys = f"t/{bob.id}/g/{new_id()}/0-1.png"  # as a worker leaves one that puts it after the dump
    storage().put(nobodys, b"png", "image/png")
    gone, leaving = make_customer("Gone"), make_customer("Leaving")
    erase(gone)
    with platform_role():
        KeyRotation.objects.create(tenant_id=bob.id, stage="announced")
    place = vault.backup()
    with platform_role():
        KeyRotation.objects.filter(tenant_id=bob.id).delete()
    erase(leaving)
    platform_key = settings.PLATFORM_KEYS[0]
    copy = vault.folder / "objects" / plain.object_key
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1])

    # The bucket's other tests put objects there, too; only what this place knows counts.
    environment = empty_place.environment("manage") | {
        "EASEL_KEY_ESCROW": str(vault.kept),
        "EASEL_SCREENING_URL": settings.SCREENING_URL,  # nothing is shown that nobody could judge
        "EASEL_SCREENING_SECRET": settings.SCREENING_SECRET,
    }

    def restoring(*words: str, answer: str = platform_key) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(ROOT / "manage.py"), "restore", *words]
        return subprocess.run(
            command, env=environment, input=answer, cwd=place, capture_output=True, text=True, check=False
        )

    refused = restoring(str(vault.folder), answer=new_word(1))
    assert refused.returncode != 0
    assert "does not open the backup" in refused.stderr
    too_early = restoring(".", "--objects")
    assert (too_early.returncode != 0, "Restore it first" in too_early.stderr) == (True, True)
    done = restoring(".")
    assert f"{plain.object_key}: " in done.stderr  # one copy that is spoiled keeps no other
    assert "1 objects were not restored" in done.stderr
    assert done.returncode != 0
    assert "Restored" in done.stdout
    assert leaving.tenant.slug in done.stdout
    assert f"erased-{gone.id.hex}" not in done.stdout
    copy.write_bytes(whole)
    mended = restoring(str(vault.folder), "--objects")
    assert mended.returncode == 0, mended.stderr

    there = subprocess.run(
        [sys.executable, "-m", "tests.rights.restored_place"],
        env=environment | {
            "RESTORED_KEY": ada.key.public_id, "RESTORED_SECRET": ada.secret, "RESTORED_MODEL": workshop.model.name,
            "RESTORED_PROMPT": "a new picture", "RESTORED_TENANTS": f"{ada.id},{bob.id}",
        },
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert there.returncode == 0, there.stderr[-3000:]
    (line,) = [line for line in there.stdout.splitlines() if line.startswith("RESTORED ")]
    found = json.loads(line.removeprefix("RESTORED "))
    assert found["generations"][str(sealed.generation_id)] == f"{WORD} in May"
    assert found["generations"][str(plain.generation_id)] == f"{WORD} in June"
    assert found["images"] == found["sha256"]
    assert {str(sealed.id), str(plain.id)} <= found["images"].keys()
    assert found["secret"] is True
    assert found["drawn"] == "completed"
    assert found["standing"] == "trusted"
    assert {sealed.object_key, plain.object_key} <= set(found["objects"])
    assert nobodys not in found["objects"]  # nothing would ever remove it
    assert found["rotations"] == 0  # the next one begins anew
    with platform_role():
        wallets = rows("SELECT tenant_id::text, available, held FROM billing_wallet WHERE tenant_id = ANY(%s)",
                       [[ada.id, bob.id]])  # fmt: skip
        counted = rows("SELECT count(*) FROM generation_generation WHERE tenant_id = ANY(%s)", [[ada.id, bob.id]])
    assert {tenant: found["wallets"][tenant] for tenant, _, _ in wallets} == {
        tenant: [available, held] for tenant, available, held in wallets
    }
    assert len(found["generations"]) == counted[0][0] == 2
    again = restoring(str(vault.folder))
    assert again.returncode != 0
    assert "empty" in again.stderr
    assert place.exists()


def test_after_an_erasure_yesterdays_backup_opens_nothing_of_the_tenant(
    ada: Customer, bob: Customer, draw: Draw, vault: Vault
) -> None:
    wish(ada, seal_images=True)
    (sealed,) = draw(ada, prompt=f"{WORD} in July")
    wish(ada, seal_images=False)
    (plain,) = draw(ada, prompt=f"{WORD} in August")
    (others,) = draw(bob)
    place = vault.backup()
    holder = LocalKeys(KeyRing.parse(settings.PLATFORM_KEYS, name="test"))  # the attacker has it, and the backup
    with platform_role():
        before = escrow.read(vault.kept).data_key(ada.id)
        assert before is not None
        copy = vault.folder / "objects" / plain.object_key
        assert b"".join(closed_file.read(copy, key=before, name=plain.object_key)) == media.fetch(plain)
        erase(ada)

    _, key = Manifest.read(place, holder)
    everything = [key]
    left = escrow.read(vault.kept)
    assert ada.id not in left.keys
    everything += [ring for each in left.keys if (ring := left.data_key(each, holder=holder)) is not None]
    dump = b"".join(closed_file.read(place / "database", key=key, name="database"))
    tenants = b"".join(closed_file.read(place / "tenants", key=key, name="tenants"))
    assert str(ada.id).encode() in tenants  # the backup does know the tenant …
    assert dump.startswith(b"PGDMP")
    for image in (sealed, plain):
        copy = vault.folder / "objects" / image.object_key
        for candidate in everything:  # … but no key there is opens what was its own
            with pytest.raises(CryptoError):
                b"".join(closed_file.read(copy, key=candidate, name=image.object_key))
    material = before.material
    for file in [*vault.folder.rglob("*"), *vault.kept.parent.iterdir()]:
        if file.is_file():
            assert material not in file.read_bytes()
            assert str(ada.id) not in file.read_text(errors="ignore") or file.suffix == ".json"
    bobs = left.data_key(bob.id, holder=holder)
    assert bobs is not None
    copy = vault.folder / "objects" / others.object_key
    assert b"".join(closed_file.read(copy, key=bobs, name=others.object_key)) == media.fetch(others)


def test_a_backup_shows_nothing_without_the_platform_key_and_holds_no_key(
    ada: Customer, draw: Draw, vault: Vault, stack: Stack
) -> None:
    draw(ada, prompt=f"{WORD} in September")
    place = vault.backup()
    with platform_role():
        ((sealed, version),) = rows("SELECT data_key, data_key_version FROM tenants_tenant WHERE id = %s", [ada.id])
        material = open_data_key(sealed, version).material
    platform_key = settings.PLATFORM_KEYS[0]
    secrets_ = [platform_key.encode(), __import__("base64").b64decode(platform_key.partition(":")[2]), material,
                bytes(sealed), ada.secret.encode(), WORD.encode(), stack.credentials.backup.encode(), b"PGDMP",
                b"\x89PNG", ada.key.public_id.encode(), settings.SECRET_KEY.encode()]  # fmt: skip
    for file in vault.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert [secret for secret in secrets_ if secret in content] == [], file
            assert oct(file.stat().st_mode)[-3:] in {"600", "644"}
    _, key = Manifest.read(place, None)
    dump = b"".join(closed_file.read(place / "database", key=key, name="database"))
    assert bytes(sealed) not in dump
    with pytest.raises(TamperedSeal):
        Manifest.read(place, LocalKeys(KeyRing.parse([new_word(1)], name="test")))


def test_a_second_backup_copies_only_new_objects_and_both_restore(ada: Customer, draw: Draw, vault: Vault) -> None:
    (first,) = draw(ada)
    vault.backup()
    copy = vault.folder / "objects" / first.object_key
    stamp = copy.stat().st_mtime_ns
    (second,) = draw(ada)
    vault.backup(at=datetime(2031, 1, 1, tzinfo=UTC))
    assert copy.stat().st_mtime_ns == stamp
    assert (vault.folder / "objects" / second.object_key).exists()
    assert backups.newest(vault.folder) == vault.folder / "20310101T000000Z"


def test_an_interrupted_backup_is_no_backup_and_the_next_one_clears_it_away(
    ada: Customer, draw: Draw, vault: Vault
) -> None:
    draw(ada)
    with patch.object(backups, "_objects", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        vault.backup()
    assert backups.newest(vault.folder) is None
    assert list(vault.folder.glob("*.partial"))
    vault.backup()
    assert not list(vault.folder.glob("*.partial"))


def test_a_second_backup_of_the_same_moment_is_refused_and_leaves_the_first_alone(
    ada: Customer, draw: Draw, vault: Vault
) -> None:
    draw(ada)
    real, refused = backups._objects, []

    def meanwhile(*given: Any) -> Iterator[backups.Copied]:
        with pytest.raises(CommandError, match="Another backup") as error:
            vault.backup()
        refused.append(error)
        return real(*given)

    with patch.object(backups, "_objects", meanwhile):
        place = vault.backup()
    assert len(refused) == 1
    assert {each.name for each in place.iterdir()} == {"manifest.json", "database", "tenants", "objects"}


def test_a_rotation_during_a_backup_leaves_no_copy_that_the_escrow_does_not_open(
    ada: Customer, draw: Draw, vault: Vault
) -> None:
    (image,) = draw(ada)
    real = backups._database

    def then_rotate(*given: Any) -> Any:
        found = real(*given)
        rotate_tenant(ada.id, settle=0)
        return found

    with patch.object(backups, "_database", then_rotate):
        vault.backup()
    key = escrow.read(vault.kept).data_key(ada.id)
    assert key is not None
    copy = vault.folder / "objects" / image.object_key
    assert b"".join(closed_file.read(copy, key=key, name=image.object_key)) == media.fetch(image)


def test_a_tenant_that_begins_just_before_the_dump_is_in_the_escrow(vault: Vault) -> None:
    real, begun = escrow.collect, list[Customer]()

    def collect() -> int:
        added = real()
        begun.append(make_customer("Late"))
        return added

    with patch.object(escrow, "collect", collect):
        vault.backup()
    assert begun[0].id in escrow.read(vault.kept).keys


def test_a_backup_that_cannot_read_everything_changes_nothing(vault: Vault) -> None:
    with override_settings(BACKUP_DATABASE=None), pytest.raises(CommandError, match="EASEL_BACKUP_DATABASE_URL"):
        vault.backup()
    assert not vault.kept.exists()
    assert not vault.folder.exists()


@pytest.mark.parametrize("name", ["manifest.json", "database", "tenants", "objects"])
def test_a_backup_that_was_altered_is_not_restored(vault: Vault, name: str) -> None:
    place = vault.backup()
    file = place / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(CryptoError):
        restore(place, escrow=escrow.Escrow({}))


def test_a_place_with_tenants_is_not_restored_over(ada: Customer, vault: Vault) -> None:
    vault.backup()
    with pytest.raises(CommandError, match="empty"):
        call_command("restore", str(vault.folder), stdout=StringIO())
    assert ada.client().get("/v1/account").status_code == 200


def test_a_folder_without_a_backup_and_a_missing_escrow_are_named(vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no whole backup"):
        call_command("restore", str(tmp_path), stdout=StringIO())
    vault.backup()
    shutil.move(vault.kept, tmp_path / "elsewhere")
    with pytest.raises(CommandError, match=r"keys\.escrow cannot be read"):
        call_command("restore", str(vault.folder), stdout=StringIO())


def test_pg_dump_by_hand_and_a_copy_of_the_bucket_show_no_prompt_secret_or_sealed_image(
    ada: Customer, draw: Draw, tmp_path: Path
) -> None:
    wish(ada, seal_images=True)
    (sealed,) = draw(ada, prompt=f"{WORD} in October", negative_prompt=f"no {WORD} in November")
    picture = media.fetch(sealed)
    wish(ada, seal_images=False)
    draw(ada, prompt=f"{WORD} in December", format="webp")
    draw(ada, prompt=f"{WORD} at night", format="jpeg")
    from tenants.backup import postgres

    dump = b"".join(postgres.output([postgres.program("pg_dump"), "--inserts"], postgres.dumper()))
    assert str(sealed.generation_id).encode() in dump  # it does hold our rows
    objects = {key: storage().get(key) for key in storage().keys(f"t/{ada.id}/")}
    assert len(objects) == 3
    words = [WORD, ada.secret, "October", "November", "December"]
    for word in words:
        for form in (word.encode(), word.encode().hex().encode(), word.encode("utf-16-le"), word.encode("utf-16-be")):
            assert form not in dump
            assert [key for key, content in objects.items() if form in content] == []
    middle = picture[len(picture) // 2 :][:32]
    assert [key for key, content in objects.items() if middle in content] == []
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert open_sealed is not None
    assert os.environ["EASEL_BACKUP_DATABASE_URL"]
