"""`manage.py backup FOLDER`: Postgres and the objects, sealed, without any key that opens them.

    FOLDER/<time>/manifest.json    what there is; the backup's own key, sealed by the platform key
    FOLDER/<time>/database         pg_dump's custom format, without the rows of tenants_tenant
    FOLDER/<time>/tenants          those rows, without their data keys
    FOLDER/<time>/objects          the list of objects that belong to this backup
    FOLDER/objects/…               the objects, shared by all backups in the folder

The backup's own files are sealed under a key of its own; an object under its tenant's data key, which is in no backup:
it is in the database and in the key escrow. So an erased tenant's objects, prompts and secrets stay closed in every
backup that was ever made.

An interrupted backup leaves a folder `<time>.partial` that the next one removes; what it copied is not copied again.
A folder takes one backup at a time.
"""

import base64
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import sql

from easel import __version__, roles
from easel.crypto import DataKey, KeyDestroyed, new_data_key
from easel.database import rows
from easel.storage import ObjectMissing, storage
from tenants import escrow
from tenants.backup import closed_file, postgres
from tenants.backup.manifest import Manifest
from tenants.backup.pruning import prune, whole_backups
from tenants.escrow import Escrow
from tenants.keys import data_key_of

PREFIX: Final = "t/"
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """An object that belongs to the backup."""

    key: str
    content_type: str


class AnotherIsRunning(Exception):
    """Another backup into the same folder has not ended yet. Nothing was done."""


def backup(folder: Path, *, keep: int | None = None, report: Report = lambda _: None) -> Path:
    """Returns the folder of this backup. `keep`: how many stay, this one among them; None: all. Needs the platform
    role, outside of a transaction. Raises CannotPrune when this one is whole, but older ones could not be removed."""
    postgres.dumper()  # names what is not set before anything is changed
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        for left in folder.glob("*.partial"):
            shutil.rmtree(left)
        made_at = datetime.now(UTC)
        place = folder / f"{made_at:%Y%m%dT%H%M%SZ}.partial"
        place.mkdir(mode=0o700)
        key, sealed, version = new_data_key()
        files, tenants, functions = _database(place, key, report)
        report(f"database: {sum(file['size'] for file in files.values())} bytes")
        copied = list(_objects(folder, report))
        lines = (json.dumps([each.key, each.content_type]).encode() + b"\n" for each in copied)
        files["objects"] = _described(closed_file.write(place / "objects", lines, key=key, name="objects"))
        manifest = Manifest(
            made_at=made_at.isoformat(), easel=__version__, platform_key_version=version,
            key=base64.b64encode(sealed).decode(), tenants=tenants, functions=functions,
            objects=len(copied), files=files,
        )  # fmt: skip
        manifest.write(place, key)
        place = place.rename(place.with_suffix(""))
        report(f"{place} is whole.")
        if keep is not None:
            backups, copies = prune(folder, keep=keep)
            report(f"removed: {backups} older backups, {copies} copies of objects that no other needs")
    return place


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The lock ends with its process, whichever way that ends."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AnotherIsRunning(f"Another backup into {folder} is running.") from error
        yield


def _database(place: Path, key: DataKey, report: Report) -> tuple[dict[str, dict[str, Any]], int, list[str]]:
    """Both files show the same moment. What they hold must be openable: the escrow gets every data key of just before
    (a rotation may end meanwhile) and of just after (a tenant may begin)."""
    with postgres.connect(postgres.dumper()) as connection:
        added = escrow.collect()
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        ((snapshot,),) = connection.execute("SELECT pg_export_snapshot()").fetchall()
        report(f"key escrow {escrow.path()}: {added + escrow.collect()} new keys")
        dump = [postgres.program("pg_dump"), "--format=custom", f"--snapshot={snapshot}", "--no-comments"]
        dump.append("--exclude-table-data=tenants_tenant")
        pieces = postgres.output(dump, postgres.dumper())
        files = {"database": _described(closed_file.write(place / "database", pieces, key=key, name="database"))}
        ((tenants,),) = connection.execute("SELECT count(*) FROM tenants_tenant").fetchall()
        tenant_rows = _tenant_rows(connection)
        files["tenants"] = _described(closed_file.write(place / "tenants", tenant_rows, key=key, name="tenants"))
        functions = connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
            "AND proowner = %s::regrole ORDER BY 1",
            [roles.PLATFORM],
        ).fetchall()
    return files, int(tenants), [name for (name,) in functions]


def _tenant_rows(connection: psycopg.Connection) -> Iterator[bytes]:
    """A line with the columns, then COPY's text. Columns come and go; the key is the one that never comes along."""
    found = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'tenants_tenant'::regclass AND attnum > 0 "
        "AND NOT attisdropped AND attgenerated = '' ORDER BY attnum"
    ).fetchall()
    columns = [name for (name,) in found]
    yield json.dumps(columns).encode() + b"\n"
    chosen = sql.SQL(", ").join(
        sql.SQL("''::bytea") if name == "data_key" else sql.Identifier(name) for name in columns
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY (SELECT {} FROM tenants_tenant ORDER BY id) TO STDOUT").format(chosen)) as copy,
    ):
        for piece in copy:
            yield bytes(piece)


def _objects(folder: Path, report: Report) -> Iterator[Copied]:
    """Listed after the dump: whatever the dump refers to was there by then, or has been erased since."""
    store, kept, keys, new = storage(), escrow.read(escrow.path()), dict[UUID, DataKey | None](), 0
    for object_key in store.keys(PREFIX):
        tenant_id = UUID(object_key.split("/", 2)[1])
        if tenant_id not in keys:
            keys[tenant_id] = _key_for_copies(kept, tenant_id)
        key = keys[tenant_id]
        if key is None:
            continue
        try:
            head = store.head(object_key)
            file = folder / "objects" / object_key
            if not file.exists():
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                closed_file.write(file, store.stream(object_key), key=key, name=object_key)
                new += 1
        except ObjectMissing:
            continue  # erased since it was listed
        yield Copied(object_key, head.content_type)
    report(f"objects: {new} new")


def _key_for_copies(kept: Escrow, tenant_id: UUID) -> DataKey | None:
    """The escrow's, and not the one of this moment: that is what opens the copy again. None: the tenant was erased, or
    has begun since the dump."""
    try:
        data_key_of(tenant_id)
    except KeyDestroyed:
        return None
    return kept.data_key(tenant_id)


def _described(written: tuple[int, str]) -> dict[str, Any]:
    return {"size": written[0], "sha256": written[1]}


def newest(folder: Path) -> Path | None:
    """The newest whole backup in a folder."""
    return next(iter(whole_backups(folder)), None)


def tenants_in_database() -> int:
    """How many there are; 0 where there is no such table yet. Needs the platform role."""
    ((table,),) = rows("SELECT to_regclass('public.tenants_tenant')")
    return int(rows("SELECT count(*) FROM tenants_tenant")[0][0]) if table else 0
