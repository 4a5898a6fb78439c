"""Everything of one tenant as one archive (tar), in clear, for the tenant itself.

Rows are JSON, one a line, in parts of a thousand; sealed texts are opened, secrets are left out, and so is what
belongs to staff or strangers (`lifecycle.keep_from_export`). Objects lie under `files/`. What cannot be opened any more
is null or missing, and named in `UNREADABLE`. Beside the growing archive lies a note of how far it is: an interrupted
export goes on where it was.
"""

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from easel.crypto import CryptoError, DataKey, open_sealed
from easel.database import rows
from easel.storage import ObjectMissing, storage
from tenants import erasure, lifecycle
from tenants.keys import data_key_of
from tenants.sealed_columns import SealedColumn, sealed_columns

PART_ROWS: Final = 1_000
NOBODY: Final = UUID(int=0)
Report = Callable[[str], None]


@dataclass(slots=True)
class Progress:
    """How far an export is. `size` is where the archive ends after the last whole member."""

    tenant: str
    size: int = 0
    table: int = 0
    part: int = 0
    after: str = str(NOBODY)
    file: str = ""
    tables: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def export_tenant(tenant_id: UUID, target: Path, *, report: Report = lambda _: None) -> Path:
    """Write the archive, or go on with it. Needs the platform role, outside of a transaction."""
    if target.exists():
        raise FileExistsError(f"{target} is already there.")
    partial, note = target.with_name(f"{target.name}.partial"), target.with_name(f"{target.name}.progress")
    progress = _progress(note, tenant_id)
    key = data_key_of(tenant_id)
    with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as archive:
        archive.truncate(progress.size)
        archive.seek(progress.size)

        def add(name: str, data: bytes) -> None:
            """A whole member, and only then the note that says so."""
            _add(archive, name, data)
            progress.size = archive.tell()
            _write_note(note, progress)

        if progress.size == 0:
            add("tenant.json", _tenant(tenant_id))
        while progress.table < len(progress.tables):
            _add_table(progress.tables[progress.table], tenant_id, progress, key, add)
            report(f"{progress.tables[progress.table]}: {progress.part} parts")
            progress.table, progress.part, progress.after = progress.table + 1, 0, str(NOBODY)
        for object_key in storage().keys(f"t/{tenant_id}/"):
            if object_key > progress.file:
                _add_object(object_key, tenant_id, progress, add)
        if progress.unreadable:
            _add(archive, "UNREADABLE", "".join(f"{each}\n" for each in progress.unreadable).encode())
            report(f"{len(progress.unreadable)} values or files cannot be opened any more: UNREADABLE names them")
        _add(archive, "SHA256SUMS", _sums(partial))
        archive.write(bytes(2 * tarfile.BLOCKSIZE))
        archive.flush()
        os.fsync(archive.fileno())
    partial.replace(target)
    note.unlink()
    report(f"{target}: {target.stat().st_size} bytes")
    return target


def _add_table(
    table: str, tenant_id: UUID, progress: Progress, key: DataKey, add: Callable[[str, bytes], None]
) -> None:
    sealed = [column for column in sealed_columns() if column.table == table]
    names = [f"t.{name}" for column in sealed for name in (column.bound_to, column.column)]
    columns = ", ".join(["t.id", "to_json(t)", *names])
    left_out = lifecycle.columns_kept_from_export(table)
    while found := rows(
        f"SELECT {columns} FROM {table} t WHERE t.tenant_id = %s AND t.id > %s ORDER BY t.id LIMIT %s",  # noqa: S608
        [tenant_id, progress.after, PART_ROWS],
    ):
        told = (_row(row, sealed, key, progress.unreadable) for row in found)
        shown = ({name: value for name, value in each.items() if name not in left_out} for each in told)
        lines = [json.dumps(each, ensure_ascii=False, sort_keys=True) for each in shown]
        progress.part, progress.after = progress.part + 1, str(found[-1][0])
        add(f"tables/{table}/{progress.part:06}.jsonl", ("\n".join(lines) + "\n").encode("utf-8", "replace"))


def _row(row: tuple[Any, ...], sealed: list[SealedColumn], key: DataKey, unreadable: list[str]) -> dict[str, Any]:
    told: dict[str, Any] = {name: value for name, value in row[1].items() if not name.endswith("_sealed")}
    for index, column in enumerate(sealed):
        place, value = row[2 + 2 * index : 4 + 2 * index]
        if value and not column.secret:
            name = column.column.removesuffix("_sealed")
            try:
                told[name] = open_sealed(value, key=key, context=column.context(place)).decode()
            except CryptoError:
                told[name] = None
                unreadable.append(f"{column.table}.{name} {row[0]}")
    return told


def _add_object(object_key: str, tenant_id: UUID, progress: Progress, add: Callable[[str, bytes], None]) -> None:
    progress.file = object_key
    try:
        data = lifecycle.read_object(tenant_id, object_key)
    except ObjectMissing:
        return  # erased since it was listed, or not for its tenant
    except CryptoError:
        progress.unreadable.append(object_key)
        return
    add(f"files/{object_key.removeprefix(f't/{tenant_id}/')}", data)


def _tenant(tenant_id: UUID) -> bytes:
    ((tenant,),) = rows(
        "SELECT (to_jsonb(t) - 'data_key' - 'data_key_version')::json FROM tenants_tenant t WHERE t.id = %s",
        [tenant_id],
    )
    members = rows(
        "SELECT u.email, u.name, m.role FROM tenants_member m JOIN tenants_user u ON u.id = m.user_id "
        "WHERE m.tenant_id = %s ORDER BY m.id",
        [tenant_id],
    )
    people = [{"email": email, "name": name, "role": role} for email, name, role in members]
    return json.dumps({"tenant": tenant, "people": people}, indent=1, ensure_ascii=False).encode()


def _tables() -> list[str]:
    all_tables = {*erasure.erased_tables(), *lifecycle.books(), "tenants_auditrecord"}
    return sorted(all_tables - lifecycle.tables_kept_from_export())


def _progress(note: Path, tenant_id: UUID) -> Progress:
    if not note.exists():
        return Progress(str(tenant_id), tables=_tables())
    progress = Progress(**json.loads(note.read_text()))
    if progress.tenant != str(tenant_id):
        raise FileExistsError(f"{note} belongs to the export of another tenant.")
    return progress


def _write_note(note: Path, progress: Progress) -> None:
    new = note.with_name(f".{note.name}.new")
    new.write_text(json.dumps(asdict(progress)))
    new.replace(note)


def _add(archive: Any, name: str, data: bytes) -> None:
    """One member. tarfile's own writer would have to be kept open; this can go on after a restart."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o600, int(time.time())
    archive.write(info.tobuf(tarfile.PAX_FORMAT))
    archive.write(data)
    archive.write(bytes(-len(data) % tarfile.BLOCKSIZE))
    archive.flush()


def _sums(partial: Path) -> bytes:
    """Read back from the file, so that it says what is there and not what was meant."""
    lines = io.StringIO()
    with tarfile.open(partial, "r:") as archive:
        for member in archive:
            content = archive.extractfile(member)
            digest = hashlib.sha256(content.read() if content else b"").hexdigest()
            lines.write(f"{digest}  {member.name}\n")
    return lines.getvalue().encode()
