"""New keys without downtime. Each command can be interrupted at any point and run again; it goes on where it was.

**The platform key**: each data key, the platform's own secrets and the escrow are sealed anew by the newest one.

**A tenant's data key**, in four steps, each a short transaction:

1. announce: the new key can open; the old one still seals. Processes remember a tenant's key for some seconds.
2. promote, when every process knows the new key: it seals from now on.
3. seal anew, when no process seals with the old key any more: row by row, a conditional UPDATE each.
4. retire the old key, and those before it that a restore brought along, when a whole sweep found nothing under them.

A value that no key opens stays as it is and is named. The older keys stay then, too: it may be our mistake.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from easel.crypto import (
    KEY_BYTES,
    DataKey,
    TamperedSeal,
    open_data_key,
    open_sealed,
    provider,
    seal,
    seal_data_key,
    sealed_by_newest,
)
from easel.database import atomic, changed, rows
from tenants import audit, escrow, sealed_factors
from tenants.keys import data_key_of
from tenants.models import KeyRotation
from tenants.platform_secrets import sealed_anew
from tenants.sealed_columns import SealedColumn, sealed_columns

BATCH: Final = 200
SETTLE_SECONDS: Final = 60.0  # longer than keys.REMEMBER_SECONDS and the longest request together
NOBODY: Final = UUID(int=0)
Report = Callable[[str], None]

ANNOUNCED, PROMOTED = KeyRotation.Stage.ANNOUNCED, KeyRotation.Stage.PROMOTED


class RotatedElsewhere(Exception):
    """Another run of the same rotation has come to its end."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """`unreadable` names the values that no key opened: table, column, id."""

    sealed_anew: int
    unreadable: tuple[str, ...] = ()


def rotate_platform() -> int:
    """Everything under the newest platform key. Returns how many things were not: also those that somebody changed in
    this very moment, which the next pass finds again. Needs the platform role."""
    newest = provider().newest
    count = 0
    last = NOBODY
    while found := rows(
        "SELECT id, data_key, data_key_version FROM tenants_tenant "
        "WHERE id > %s AND data_key_version <> %s AND length(data_key) > 0 ORDER BY id LIMIT %s",
        [last, newest, BATCH],
    ):
        for tenant_id, old, version in found:
            again, sealed_by = seal_data_key(open_data_key(old, version))
            changed(
                "UPDATE tenants_tenant SET data_key = %s, data_key_version = %s WHERE id = %s AND data_key = %s",
                [again, sealed_by, tenant_id, old],
            )
            count, last = count + 1, tenant_id
    for row_id, old, version in rows(
        "SELECT id, sealed, key_version FROM tenants_platformsecret WHERE key_version <> %s", [newest]
    ):
        again, sealed_by = sealed_anew(bytes(old), version)
        changed(
            "UPDATE tenants_platformsecret SET sealed = %s, key_version = %s WHERE id = %s AND sealed = %s",
            [again, sealed_by, row_id, old],
        )
        count += 1
    for row_id, data in rows("SELECT id, data::json FROM mfa_authenticator"):
        fresh = sealed_factors.sealed_anew(data, newest=newest)
        if fresh is not None:
            move = "UPDATE mfa_authenticator SET data = %s WHERE id = %s AND data = %s"
            changed(move, [Jsonb(fresh), row_id, Jsonb(data)])
            count += 1
    count += escrow.seal_anew()
    if count:
        audit.record("platform_key.rotated", tenant_id=None, details={"version": newest, "sealed_anew": count})
    return count


def rotate_tenant(tenant_id: UUID, *, settle: float = SETTLE_SECONDS, report: Report = lambda _: None) -> Rotated:
    """Give a tenant a new data key, or finish what was begun. Needs the platform role, outside of a transaction."""
    if _stage(tenant_id, settle) is None:
        _announce(tenant_id)
        report("announced")
    if _wait(tenant_id, settle) == ANNOUNCED:
        _promote(tenant_id)
        report("promoted")
    _wait(tenant_id, settle)
    total, unreadable = 0, set[str]()
    while count := sum(_seal_anew(tenant_id, column, unreadable) for column in sealed_columns()):
        total += count
        report(f"{total} values sealed anew")
    _retire(tenant_id, keep_older=bool(unreadable))
    report("the older keys are kept" if unreadable else "the old key is gone")
    return Rotated(total, tuple(sorted(unreadable)))


def _announce(tenant_id: UUID) -> None:
    with atomic():
        old = _locked_key(tenant_id)
        _store(tenant_id, DataKey(old.material, (os.urandom(KEY_BYTES), *old.others), old.for_hmac))
        KeyRotation.objects.create(tenant_id=tenant_id, stage=ANNOUNCED)
        audit.record("data_key.announced", tenant_id=tenant_id)


def _promote(tenant_id: UUID) -> None:
    with atomic():
        key = _locked_key(tenant_id)
        moved = changed(
            "UPDATE tenants_keyrotation SET stage = %s, since = now() WHERE tenant_id = %s AND stage = %s",
            [PROMOTED, tenant_id, ANNOUNCED],
        )
        if moved:
            new, *older = key.others  # as it was announced: the new one first
            _store(tenant_id, DataKey(new, (key.material, *older), key.for_hmac))


def _retire(tenant_id: UUID, *, keep_older: bool) -> None:
    with atomic():
        key = _locked_key(tenant_id)
        if changed("DELETE FROM tenants_keyrotation WHERE tenant_id = %s AND stage = %s", [tenant_id, PROMOTED]):
            if not keep_older:
                _store(tenant_id, DataKey(key.material, (), key.for_hmac))
            audit.record("data_key.rotated", tenant_id=tenant_id)


def _seal_anew(tenant_id: UUID, column: SealedColumn, unreadable: set[str]) -> int:
    """One sweep over one column. A value that somebody changes meanwhile was sealed by the new key anyway."""
    key, count, last = data_key_of(tenant_id), 0, NOBODY
    table, name = column.table, column.column
    while found := rows(
        f"SELECT id, {column.bound_to}, {name} FROM {table} "  # noqa: S608  names from our own code
        f"WHERE tenant_id = %s AND id > %s AND length({name}) > 0 ORDER BY id LIMIT %s",
        [tenant_id, last, BATCH],
    ):
        for row_id, place, old in found:
            last, context = row_id, column.context(place)
            try:
                if sealed_by_newest(old, key=key, context=context):
                    continue
            except TamperedSeal:
                unreadable.add(f"{table}.{name} {row_id}")
                continue
            again = seal(open_sealed(old, key=key, context=context), key=key, context=context)
            count += changed(
                f"UPDATE {table} SET {name} = %s WHERE tenant_id = %s AND id = %s AND {name} = %s",  # noqa: S608
                [again, tenant_id, row_id, old],
            )
    return count


def _stage(tenant_id: UUID, settle: float) -> tuple[str, float] | None:
    """The stage, and how many seconds it still has to settle; by the database's clock."""
    found = rows(
        "SELECT stage, greatest(0, extract(epoch FROM since - now()) + %s)::float FROM tenants_keyrotation "
        "WHERE tenant_id = %s",
        [settle, tenant_id],
    )
    return found[0] if found else None


def _wait(tenant_id: UUID, settle: float) -> str:
    while True:
        found = _stage(tenant_id, settle)
        if found is None:
            raise RotatedElsewhere("Somebody else has finished this rotation meanwhile.")
        if found[1] <= 0:
            return found[0]
        time.sleep(found[1])


def _locked_key(tenant_id: UUID) -> DataKey:
    ((sealed, version),) = rows(
        "SELECT data_key, data_key_version FROM tenants_tenant WHERE id = %s FOR NO KEY UPDATE", [tenant_id]
    )
    return open_data_key(sealed, version)


def _store(tenant_id: UUID, key: DataKey) -> None:
    sealed, version = seal_data_key(key)
    changed(
        "UPDATE tenants_tenant SET data_key = %s, data_key_version = %s WHERE id = %s", [sealed, version, tenant_id]
    )
