"""`manage.py backup FOLDER --keep N`: the oldest backups go, and with them the objects that no other one lists."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from easel.crypto import CryptoError
from tenants.backup import closed_file
from tenants.backup.manifest import Manifest


class CannotPrune(Exception):
    """One that is to stay does not say which copies it needs. Nothing was removed."""


def whole_backups(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted((place for place in folder.glob("*Z") if (place / "manifest.json").exists()), reverse=True)


def prune(folder: Path, *, keep: int) -> tuple[int, int]:
    """Leave the newest `keep` backups. Returns how many backups and how many copies were removed. The caller has the
    folder's lock: what lies there and is on no list is nobody's. Raises CannotPrune."""
    whole = whole_backups(folder)
    needed = {key for place in whole[:keep] for key in _listed(place)}
    for place in whole[keep:]:  # as an interrupted one: should this be interrupted, the next backup goes on with it
        shutil.rmtree(place.rename(place.with_suffix(".partial")))
    return len(whole[keep:]), _remove_copies(folder / "objects", needed)


def _listed(place: Path) -> Iterator[str]:
    try:
        _, key = Manifest.read(place, None)
        for line in b"".join(closed_file.read(place / "objects", key=key, name="objects")).splitlines():
            yield json.loads(line)[0]
    except (CryptoError, OSError) as error:
        unknown = f"{place} does not open, so that its copies are not known: nothing was removed. {error}"
        raise CannotPrune(unknown) from error


def _remove_copies(root: Path, needed: set[str]) -> int:
    removed = 0
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            file = Path(folder, name)
            if file.relative_to(root).as_posix() not in needed:
                file.unlink()
                removed += 1
        if Path(folder) != root and not os.listdir(folder):
            os.rmdir(folder)
    return removed
