"""`manage.py restore FOLDER`: a backup into an empty place, which may have another platform key.

It takes three things from three places: the backup, the key escrow, and the platform key of the time. The tenants'
data keys come from the escrow and are sealed anew by this place's platform key. A tenant that is not in the escrow was
erased: its rows come back without anything that opens them, and its objects do not come back.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from easel import roles
from easel.crypto import DataKey, provider, seal_data_key
from easel.key_providers import KeyProvider
from easel.storage import storage
from tenants import sealed_factors
from tenants.backup import closed_file, postgres
from tenants.backup.manifest import Manifest
from tenants.escrow import Escrow
from tenants.platform_secrets import sealed_anew

Report = Callable[[str], None]
FILES: Final = ("database", "tenants", "objects")


class NotEmpty(Exception):
    """There are tenants here already. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Restored:
    tenants: int
    without_key: int  # tenants that were erased since
    objects: int
    objects_left: int  # of those


def restore(
    place: Path, *, escrow: Escrow, holder: KeyProvider | None = None, report: Report = lambda _: None
) -> Restored:
    """`holder` has the platform key of the time; None: the one this place has is the same. Nothing of Easel may be
    running but its services. Raises NotEmpty, TamperedSeal, UnknownKeyVersion, postgres.ProgramFailed."""
    manifest, key = Manifest.read(place, holder)
    for name in FILES:
        closed_file.check(place / name, **manifest.files[name])
    keys = _data_keys(escrow, holder)
    report(f"backup of {manifest.made_at}: {manifest.tenants} tenants, {manifest.objects} objects; every file is whole")
    with postgres.connect(postgres.owner(), autocommit=True) as connection:
        _require_empty(connection)
        without_key = _database(connection, place, key, keys, holder, functions=manifest.functions)
    report("database restored")
    objects, left = _objects(place, key, keys)
    report(f"{objects} objects restored")
    return Restored(manifest.tenants, without_key, objects, left)


def _data_keys(escrow: Escrow, holder: KeyProvider | None) -> dict[UUID, DataKey]:
    found = {tenant_id: escrow.data_key(tenant_id, holder=holder) for tenant_id in escrow.keys}
    return {tenant_id: key for tenant_id, key in found.items() if key is not None}


def _require_empty(connection: psycopg.Connection) -> None:
    """The owner is blind to tenants' rows; how many pages the table has, it may know."""
    ((table,),) = connection.execute("SELECT to_regclass('public.tenants_tenant')").fetchall()
    if table is None:
        return
    connection.execute("ALTER TABLE tenants_tenant NO FORCE ROW LEVEL SECURITY")
    try:
        ((count,),) = connection.execute("SELECT count(*) FROM tenants_tenant").fetchall()
    finally:
        connection.execute("ALTER TABLE tenants_tenant FORCE ROW LEVEL SECURITY")
    if count:
        raise NotEmpty(f"There are {count} tenants in this database. Restore into an empty one.")


def _database(
    connection: psycopg.Connection,
    place: Path,
    key: DataKey,
    keys: dict[UUID, DataKey],
    holder: KeyProvider | None,
    *,
    functions: list[str],
) -> int:
    """How many tenants came back without a key. Row security comes with the last section: until then the owner sees
    and fills the tables."""
    platform = sql.Identifier(roles.PLATFORM)
    connection.execute("DROP SCHEMA public CASCADE")
    connection.execute("CREATE SCHEMA public")
    for role in (roles.APP, roles.PLATFORM, roles.BACKUP):
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(role)))
    # Functions are handed over to the platform's role, which has to be able to own them for this moment.
    connection.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(platform))
    with tempfile.NamedTemporaryFile(prefix="easel-restore-") as dump:  # mode 0600
        for piece in closed_file.read(place / "database", key=key, name="database"):
            dump.write(piece)
        dump.flush()
        for section in ("pre-data", "data"):
            _section(section, dump.name)
        _fill_tenants(connection, closed_file.read(place / "tenants", key=key, name="tenants"))
        _put_keys(connection, keys, holder)
        ((without_key,),) = connection.execute(
            "SELECT count(*) FROM tenants_tenant WHERE length(data_key) = 0"
        ).fetchall()
        _section("post-data", dump.name)
    for function in functions:
        # The manifest is authenticated, and the name is as Postgres itself wrote it.
        connection.execute(sql.SQL("ALTER FUNCTION {} OWNER TO {}").format(sql.SQL(function), platform))
    connection.execute(sql.SQL("REVOKE CREATE ON SCHEMA public FROM {}").format(platform))
    return int(without_key)


def _section(name: str, dump: str) -> None:
    command = [postgres.program("pg_restore"), "--exit-on-error", "--no-owner", f"--section={name}"]
    command.append("--schema=public")
    postgres.run([*command, f"--dbname={postgres.owner()['NAME']}", dump], postgres.owner())


def _fill_tenants(connection: psycopg.Connection, pieces: Iterator[bytes]) -> None:
    head = b""
    while b"\n" not in head:
        head += next(pieces)
    line, _, rest = head.partition(b"\n")
    columns = sql.SQL(", ").join(map(sql.Identifier, json.loads(line)))
    statement = sql.SQL("COPY tenants_tenant ({}) FROM STDIN").format(columns)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(rest)
        for piece in pieces:
            copy.write(piece)


def _put_keys(connection: psycopg.Connection, keys: dict[UUID, DataKey], holder: KeyProvider | None) -> None:
    with connection.transaction():
        for tenant_id, key in keys.items():
            sealed, version = seal_data_key(key)
            connection.execute(
                "UPDATE tenants_tenant SET data_key = %s, data_key_version = %s WHERE id = %s",
                [sealed, version, tenant_id],
            )
        for row_id, data in connection.execute("SELECT id, data FROM mfa_authenticator").fetchall():
            fresh = sealed_factors.sealed_anew(data, newest=provider().newest, holder=holder)
            if fresh is not None:
                connection.execute("UPDATE mfa_authenticator SET data = %s WHERE id = %s", [Jsonb(fresh), row_id])
        for row_id, sealed, version in connection.execute(
            "SELECT id, sealed, key_version FROM tenants_platformsecret"
        ).fetchall():
            again, newest = sealed_anew(bytes(sealed), version, holder=holder)
            connection.execute(
                "UPDATE tenants_platformsecret SET sealed = %s, key_version = %s WHERE id = %s", [again, newest, row_id]
            )


def _objects(place: Path, key: DataKey, keys: dict[UUID, DataKey]) -> tuple[int, int]:
    store, done, left = storage(), 0, 0
    listed = b"".join(closed_file.read(place / "objects", key=key, name="objects"))
    for line in listed.splitlines():
        object_key, content_type = json.loads(line)
        data_key = keys.get(UUID(object_key.split("/", 2)[1]))
        if data_key is None:
            left += 1
            continue
        pieces = closed_file.read(place.parent / "objects" / object_key, key=data_key, name=object_key)
        with tempfile.SpooledTemporaryFile(max_size=16 * 1024 * 1024) as whole:
            for piece in pieces:
                whole.write(piece)
            whole.seek(0)
            store.put(object_key, whole, content_type)
        done += 1
    return done, left
