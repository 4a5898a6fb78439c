"""`manage.py restore FOLDER`: a backup into an empty place, which may have another platform key.

It takes three things from three places: the backup, the key escrow, and the platform key of the time. The tenants'
data keys come from the escrow and are sealed anew by this place's platform key. A tenant that is not in the escrow was
erased: its rows come back without anything that opens them, and its objects do not come back.

An object that cannot be restored is named and keeps no other. When its copy has been mended, or the store is back, the
objects alone can be restored again.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from easel import roles
from easel.crypto import CryptoError, DataKey, provider, seal_data_key
from easel.database import platform_role
from easel.key_providers import KeyProvider
from easel.storage import StorageError, storage
from tenants import lifecycle, sealed_factors
from tenants.backup import closed_file, postgres
from tenants.backup.manifest import Manifest
from tenants.escrow import Escrow
from tenants.platform_secrets import sealed_anew

Report = Callable[[str], None]
FILES: Final = ("database", "tenants", "objects")
BATCH: Final = 1_000

# Those that had been erased by the time of the backup have no name any more (`tenants.erasure`).
_ERASED_SINCE: Final = """
SELECT slug FROM tenants_tenant WHERE length(data_key) = 0 AND slug <> 'erased-' || replace(id::text, '-', '')
ORDER BY slug
"""


class NotEmpty(Exception):
    """There are tenants here already. Nothing was changed."""


class Empty(Exception):
    """There are no tenants here yet. Nothing was changed."""


@dataclass(slots=True)
class Objects:
    """What became of the objects of a backup."""

    done: int = 0
    erased: int = 0  # of tenants that are not in the escrow
    unnamed: int = 0  # no row of the database needs them
    failed: dict[str, str] = field(default_factory=dict)  # key → why


@dataclass(frozen=True, slots=True)
class Restored:
    tenants: int
    erased_since: list[str]  # slugs of tenants that have lost their key since the backup
    objects: Objects


def restore(
    place: Path,
    *,
    escrow: Escrow,
    holder: KeyProvider | None = None,
    only_objects: bool = False,
    report: Report = lambda _: None,
) -> Restored:
    """`holder` has the platform key of the time; None: the one this place has is the same. Nothing of Easel may be
    running but its services. `only_objects`: the database was restored from the same backup before. Raises NotEmpty,
    Empty, TamperedSeal, UnknownKeyVersion, postgres.ProgramFailed."""
    place = place.resolve()  # the copies of objects lie beside it
    manifest, key = Manifest.read(place, holder)
    for name in FILES:
        closed_file.check(place / name, **manifest.files[name])
    keys = _data_keys(escrow, holder)
    report(f"backup of {manifest.made_at}: {manifest.tenants} tenants, {manifest.objects} objects; every file is whole")
    erased_since: list[str] = []
    with postgres.connect(postgres.owner(), autocommit=True) as connection:
        _check_place(connection, only_objects=only_objects)
        if not only_objects:
            erased_since = _database(connection, place, key, keys, holder, functions=manifest.functions)
            report("database restored")
    objects = _objects(place, key, keys)
    report(f"{objects.done} objects restored")
    return Restored(manifest.tenants, erased_since, objects)


def _data_keys(escrow: Escrow, holder: KeyProvider | None) -> dict[UUID, DataKey]:
    found = {tenant_id: escrow.data_key(tenant_id, holder=holder) for tenant_id in escrow.keys}
    return {tenant_id: key for tenant_id, key in found.items() if key is not None}


def _check_place(connection: psycopg.Connection, *, only_objects: bool) -> None:
    count = _tenants(connection)
    if count and not only_objects:
        raise NotEmpty(f"There are {count} tenants in this database. Restore into an empty one.")
    if only_objects and not count:
        raise Empty("There are no tenants in this database. Restore it first, with the objects.")


def _tenants(connection: psycopg.Connection) -> int:
    """How many there are. The owner is blind to their rows, unless it lifts that from the table."""
    ((table,),) = connection.execute("SELECT to_regclass('public.tenants_tenant')").fetchall()
    if table is None:
        return 0
    connection.execute("ALTER TABLE tenants_tenant NO FORCE ROW LEVEL SECURITY")
    try:
        ((count,),) = connection.execute("SELECT count(*) FROM tenants_tenant").fetchall()
    finally:
        connection.execute("ALTER TABLE tenants_tenant FORCE ROW LEVEL SECURITY")
    return int(count)


def _database(
    connection: psycopg.Connection,
    place: Path,
    key: DataKey,
    keys: dict[UUID, DataKey],
    holder: KeyProvider | None,
    *,
    functions: list[str],
) -> list[str]:
    """The slugs of tenants that were erased since. Row security comes with the last section: until then the owner sees
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
        with connection.transaction():  # all of it or nothing: a place without tenants can be restored into again
            _fill_tenants(connection, closed_file.read(place / "tenants", key=key, name="tenants"))
            _put_keys(connection, keys, holder)
        erased_since = connection.execute(_ERASED_SINCE).fetchall()
        _section("post-data", dump.name)
    for function in functions:
        # The manifest is authenticated, and the name is as Postgres itself wrote it.
        connection.execute(sql.SQL("ALTER FUNCTION {} OWNER TO {}").format(sql.SQL(function), platform))
    connection.execute(sql.SQL("REVOKE CREATE ON SCHEMA public FROM {}").format(platform))
    return [slug for (slug,) in erased_since]


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
        # The keys are the escrow's, which knows nothing of how far a rotation had come: the next one begins anew.
        connection.execute("DELETE FROM tenants_keyrotation")
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


def _objects(place: Path, key: DataKey, keys: dict[UUID, DataKey]) -> Objects:
    found = Objects()
    listed = b"".join(closed_file.read(place / "objects", key=key, name="objects")).splitlines()
    for start in range(0, len(listed), BATCH):
        types: dict[str, str] = dict(map(json.loads, listed[start : start + BATCH]))
        with platform_role():
            named = lifecycle.named_objects(list(types))
        for object_key, content_type in types.items():
            data_key = keys.get(UUID(object_key.split("/", 2)[1]))
            if data_key is None:
                found.erased += 1
            elif object_key not in named:  # made after the dump, or gone since: nothing would ever remove it
                found.unnamed += 1
            else:
                _restore_object(place, object_key, content_type, data_key, found)
    return found


def _restore_object(place: Path, object_key: str, content_type: str, key: DataKey, found: Objects) -> None:
    pieces = closed_file.read(place.parent / "objects" / object_key, key=key, name=object_key)
    try:
        with tempfile.SpooledTemporaryFile(max_size=16 * 1024 * 1024) as whole:
            for piece in pieces:
                whole.write(piece)
            whole.seek(0)
            storage().put(object_key, whole, content_type)
    except (CryptoError, StorageError, OSError) as error:
        found.failed[object_key] = str(error)
    else:
        found.done += 1
