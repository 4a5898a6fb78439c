"""`backup --keep N`: old backups go with what only they need, and nothing that another one needs."""

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError

from easel.storage import storage
from tests.cast import Customer
from tests.rights.conftest import Draw, Vault

FIRST, SECOND, THIRD = (datetime(2031, 1, day, tzinfo=UTC) for day in (1, 2, 3))


def test_the_oldest_go_and_the_copies_that_only_they_list(ada: Customer, draw: Draw, vault: Vault) -> None:
    (early,) = draw(ada)
    (late,) = draw(ada, prompt="a green pear")
    copies = [vault.folder / "objects" / each.object_key for each in (early, late)]
    oldest = vault.backup(at=FIRST)
    storage().delete(early.object_key)
    left_by_a_killed_one = copies[1].with_name(".0-1.png.new")
    left_by_a_killed_one.write_bytes(b"half")

    vault.backup("--keep", "2", at=SECOND)
    assert [copy.exists() for copy in copies] == [True, True]
    assert oldest.exists()
    assert not left_by_a_killed_one.exists()

    newest = vault.backup("--keep", "2", at=THIRD)
    assert [copy.exists() for copy in copies] == [False, True]
    assert not copies[0].parent.exists()
    assert sorted(place.name for place in vault.folder.glob("2031*")) == ["20310102T000000Z", newest.name]


def test_while_a_backup_that_stays_does_not_open_nothing_goes(ada: Customer, draw: Draw, vault: Vault) -> None:
    (image,) = draw(ada)
    oldest, spoiled = vault.backup(at=FIRST), vault.backup(at=SECOND)
    storage().delete(image.object_key)
    (spoiled / "objects").write_bytes(b"spoiled")
    with pytest.raises(CommandError, match=f"{spoiled.name} does not open, so that its copies are not known"):
        vault.backup("--keep", "2", at=THIRD)
    assert oldest.exists()
    assert (vault.folder / "objects" / image.object_key).exists()
    assert (vault.folder / "20310103T000000Z" / "manifest.json").exists()


def test_to_keep_none_is_refused(vault: Vault) -> None:
    with pytest.raises(CommandError, match="--keep must be 1 or more"):
        vault.backup("--keep", "0")
    assert not vault.folder.exists()
