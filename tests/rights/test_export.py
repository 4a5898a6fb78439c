"""All of a tenant's data as one archive, and an interrupted export goes on."""

import hashlib
import json
import tarfile
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from easel.database import changed, platform_role
from easel.storage import storage
from tenants import export
from tests.cast import Customer
from tests.generation.test_shares_and_complaints import MODERATOR, complain, decide, path, share
from tests.rights.conftest import Draw, wish


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}  # type: ignore[union-attr]


def test_an_archive_holds_prompts_pictures_and_books_in_clear(
    ada: Customer, bob: Customer, draw: Draw, tmp_path: Path
) -> None:
    wish(ada, seal_images=True)
    (image,) = draw(ada, prompt="Ein Apfel, 一个苹果")
    draw(bob, prompt="a foreign pear")
    archive = tmp_path / "ada.tar"
    said = StringIO()
    call_command("export_tenant", ada.tenant.slug, str(archive), stdout=said)

    found = members(archive)
    picture = Client().get(ada.client().get(f"/v1/generations/{image.generation_id}").json()["images"][0]["url"])
    (file,) = [data for name, data in found.items() if name.startswith("files/g/")]
    assert file == picture.content
    (row,) = map(json.loads, found["tables/generation_generation/000001.jsonl"].splitlines())
    assert row["prompt"] == "Ein Apfel, 一个苹果"
    assert json.loads(found["tenant.json"])["tenant"]["id"] == str(ada.id)
    assert "tables/billing_entry/000001.jsonl" in found
    assert "tables/tenants_auditrecord/000001.jsonl" in found
    everything = b"".join(found.values())
    assert ada.secret.encode() not in everything
    assert b"foreign pear" not in everything
    assert b"data_key" not in everything
    assert b"_sealed" not in everything
    for line in found.pop("SHA256SUMS").decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(found.pop(name)).hexdigest() == digest
    assert found == {}
    assert oct(archive.stat().st_mode)[-3:] == "600"
    assert [each.name for each in tmp_path.iterdir()] == ["ada.tar"]


def test_an_interrupted_export_goes_on_and_holds_everything_once(ada: Customer, draw: Draw, tmp_path: Path) -> None:
    for index in range(3):
        draw(ada, prompt=f"apple {index}", n=2)
    archive = tmp_path / "ada.tar"
    real = export._add
    with patch.object(export, "PART_ROWS", 2), platform_role():
        stops = 0
        while not archive.exists():
            calls = 0

            def add(*given: object) -> None:
                nonlocal calls
                calls += 1
                real(*given)  # type: ignore[arg-type]
                if calls >= 3:
                    raise KeyboardInterrupt  # the member is written, its note is not

            with patch.object(export, "_add", add):
                try:
                    export.export_tenant(ada.id, archive)
                except KeyboardInterrupt:
                    stops += 1
    assert stops > 3
    found = members(archive)
    lines = [
        json.loads(line)["prompt"]
        for name, data in sorted(found.items())
        if name.startswith("tables/generation_generation/")
        for line in data.splitlines()
    ]
    assert lines == ["apple 0", "apple 1", "apple 2"]
    assert len([name for name in found if name.startswith("files/g/")]) == 6
    with tarfile.open(archive) as opened:
        names = opened.getnames()
    assert len(names) == len(set(names))


def test_what_strangers_and_staff_say_of_a_picture_is_not_its_tenants_to_read(
    ada: Customer, draw: Draw, tmp_path: Path
) -> None:
    (image,) = draw(ada)
    where = path(share(ada, image))
    assert complain(where, reason="private-persons", text="my neighbor's words").status_code == 302
    decide(image, approved=True)
    archive = tmp_path / "ada.tar"
    call_command("export_tenant", ada.tenant.slug, str(archive), stdout=StringIO())
    found = members(archive)
    # It names staff who acted for the tenant, and is shown to the tenant's owners as it is.
    audit_log = found.pop("tables/tenants_auditrecord/000001.jsonl")
    everything = b"".join(found.values())
    assert b"neighbor" not in everything + audit_log
    assert b"private-persons" not in everything
    assert MODERATOR.encode() not in everything
    (case,) = map(json.loads, found["tables/moderation_case/000001.jsonl"].splitlines())
    assert (case["kind"], case["decision"]) == ("complaint", "approve")
    assert not {"notes", "rule", "claimed_by", "category"} & case.keys()
    assert not [name for name in found if name.startswith("tables/moderation_complaint/")]


def test_an_object_that_no_row_releases_is_in_no_archive(ada: Customer, draw: Draw, tmp_path: Path) -> None:
    (shown,), (held,) = draw(ada), draw(ada)
    with platform_role():
        changed("UPDATE generation_image SET released_at = NULL WHERE id = %s", [held.id])
    nobodys = f"t/{ada.id}/g/{held.generation_id}/0-9.png"
    storage().put(nobodys, b"taken down a moment ago", "image/png")
    archive = tmp_path / "ada.tar"
    call_command("export_tenant", ada.tenant.slug, str(archive), stdout=StringIO())
    files = [name for name in members(archive) if name.startswith("files/")]
    assert files == [shown.object_key.replace(f"t/{ada.id}/", "files/")]


def test_what_does_not_open_any_more_is_named_and_keeps_nothing_else(ada: Customer, draw: Draw, tmp_path: Path) -> None:
    wish(ada, seal_images=True)
    (damaged,) = draw(ada, prompt="a red apple")
    (whole,) = draw(ada, prompt="a green pear")
    with platform_role():
        changed("UPDATE generation_generation SET prompt_sealed = '\\xab' WHERE id = %s", [damaged.generation_id])
    storage().put(damaged.object_key, storage().get(damaged.object_key)[:-1], "application/octet-stream")
    archive, said = tmp_path / "ada.tar", StringIO()
    call_command("export_tenant", ada.tenant.slug, str(archive), stdout=said)
    found = members(archive)
    prompts = [json.loads(line)["prompt"] for line in found["tables/generation_generation/000001.jsonl"].splitlines()]
    assert prompts == [None, "a green pear"]
    assert found["UNREADABLE"].decode().splitlines() == [
        f"generation_generation.prompt {damaged.generation_id}", damaged.object_key
    ]  # fmt: skip
    assert "UNREADABLE" in said.getvalue()
    assert [name for name in found if name.startswith("files/")] == [whole.object_key.replace(f"t/{ada.id}/", "files/")]


def test_an_archive_is_not_overwritten(ada: Customer, bob: Customer, tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    archive.write_text("something dear")
    with pytest.raises(CommandError, match="already there"):
        call_command("export_tenant", ada.tenant.slug, str(archive))
    assert archive.read_text() == "something dear"
    with pytest.raises(CommandError, match="no tenant"):
        call_command("export_tenant", "nobody", str(archive))
