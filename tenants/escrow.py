"""The key escrow: the one file that, with the platform key, opens backups. It lives outside of them.

A backup holds no tenant's data key. The escrow does, sealed by the platform key: for each tenant that lives, every
data key with which something in a backup may be sealed. Erasing a tenant removes its entry, and from then on no
backup of it opens, however old and wherever it lies. So the file must never be put among the backups, and each copy of
it must be replaced, not kept.
"""

import base64
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from easel.crypto import DataKey, open_data_key, provider, seal_data_key
from easel.database import rows
from easel.key_providers import KeyProvider

FORMAT: Final = "easel-key-escrow/1"
# An erasure says that it has begun before it removes the entry, and destroys the key in Postgres after that.
_LIVING: Final = """
SELECT id, data_key, data_key_version FROM tenants_tenant t WHERE length(data_key) > 0 AND NOT EXISTS (
    SELECT 1 FROM tenants_erasure e WHERE e.subject = 'tenant' AND e.subject_id = t.id)
"""
Entry = tuple[bytes, int]  # a sealed data key, and the version of the platform key that sealed it


class EscrowUnavailable(Exception):
    """The escrow cannot be read or written. What depends on it was not done."""


@dataclass(slots=True)
class Escrow:
    """What the file holds, by tenant; the newest key first."""

    keys: dict[UUID, list[Entry]]

    def data_key(self, tenant_id: UUID, *, holder: KeyProvider | None = None) -> DataKey | None:
        """One key that opens whatever any of the tenant's keys sealed. None: the tenant was erased, or never here."""
        opened = [open_data_key(*entry, holder=holder) for entry in self.keys.get(tenant_id, [])]
        if not opened:
            return None
        each = dict.fromkeys(single.material for key in opened for single in key.each)
        newest, *others = each
        return DataKey(newest, tuple(others), opened[0].for_hmac)


def path() -> Path:
    return Path(settings.KEY_ESCROW)


def collect() -> int:
    """Add every living tenant's data key as it is now. Returns how many entries are new. Needs the platform role."""
    added = 0
    with _changing() as escrow:
        # Asked while nobody else can change the file: an entry that an erasure removes now must not come back.
        for tenant_id, sealed, version in rows(_LIVING):
            entries = escrow.keys.setdefault(tenant_id, [])
            key = open_data_key(sealed, version)
            if any(open_data_key(*entry) == key for entry in entries):
                continue
            entries.insert(0, (bytes(sealed), version))
            added += 1
    return added


def forget(tenant_id: UUID) -> bool:
    """Destroy a tenant's entry. True when there was one. Whatever comes of it, the file no longer has it afterwards."""
    with _changing() as escrow:
        return escrow.keys.pop(tenant_id, None) is not None


def seal_anew() -> int:
    """Every entry under the newest platform key. Returns how many were not."""
    newest, changed = provider().newest, 0
    if not path().exists():
        return 0
    with _changing() as escrow:
        for entries in escrow.keys.values():
            for index, (sealed, version) in enumerate(entries):
                if version != newest:
                    entries[index] = seal_data_key(open_data_key(sealed, version))
                    changed += 1
    return changed


def read(file: Path) -> Escrow:
    try:
        document: dict[str, Any] = json.loads(file.read_text(encoding="ascii"))
        if document["format"] != FORMAT:
            raise EscrowUnavailable(f"{file} is no key escrow of this kind: {document['format']!r}.")
        return Escrow(
            {
                UUID(tenant): [(base64.b64decode(entry["key"]), int(entry["version"])) for entry in entries]
                for tenant, entries in document["tenants"].items()
            }
        )
    except OSError as error:
        raise EscrowUnavailable(f"The key escrow {file} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EscrowUnavailable(f"The key escrow {file} is damaged.") from error


@contextmanager
def _changing() -> Iterator[Escrow]:
    """Read, change and replace the file, one process at a time. It is on the disk when the block has ended."""
    file = path()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.with_name(f".{file.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            escrow = read(file) if file.exists() else Escrow({})
            yield escrow
            _replace(file, _document(escrow))
    except OSError as error:
        raise EscrowUnavailable(f"The key escrow {file} cannot be written: {error.strerror}.") from error


def _document(escrow: Escrow) -> str:
    tenants = {
        str(tenant): [{"key": base64.b64encode(sealed).decode(), "version": version} for sealed, version in entries]
        for tenant, entries in escrow.keys.items()
        if entries
    }
    return json.dumps({"format": FORMAT, "tenants": tenants}, indent=1) + "\n"


def _replace(file: Path, text: str) -> None:
    """Whole or not at all. The old content is overwritten: on a plain disk nothing of an erased key is left."""
    new = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    old = file.open("r+b") if file.exists() else None
    new.replace(file)
    if old is not None:  # no longer to be found by its name, and overwritten all the same
        with old:
            old.write(bytes(os.fstat(old.fileno()).st_size))
            old.flush()
            os.fsync(old.fileno())
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
