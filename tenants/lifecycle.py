"""What happens to a tenant as a whole. Upper apps register what they have to do with it (`on_created`)."""

from collections.abc import Callable, Sequence
from uuid import UUID

from django.utils.text import slugify

from easel.crypto import new_data_key
from easel.database import atomic, changed
from easel.identifiers import new_id
from tenants.models import Member, Tenant, User


class NotYet(Exception):
    """An upper app cannot do its part of an erasure now. Asking again later goes on from there."""


_when_created: list[Callable[[Tenant], None]] = []
_when_erasing: list[Callable[[UUID], None]] = []
_books: set[str] = set()
_unexported: dict[str, set[str]] = {}
_left_to_clock: set[str] = set()
_people: set[tuple[str, str]] = set()
_readers: list[Callable[[UUID, str], bytes]] = []
_namers: list[Callable[[Sequence[str]], set[str]]] = []


def on_created(act: Callable[[Tenant], None]) -> Callable[[Tenant], None]:
    """Register what an upper app does for a new tenant, inside the transaction that makes it."""
    if act not in _when_created:
        _when_created.append(act)
    return act


def on_erasing(act: Callable[[UUID], None]) -> Callable[[UUID], None]:
    """Register what an upper app stops or gives back before a tenant is erased. It may be called more than once."""
    if act not in _when_erasing:
        _when_erasing.append(act)
    return act


def erasing(tenant_id: UUID) -> None:
    for act in _when_erasing:
        act(tenant_id)


def read_objects_with(read: Callable[[UUID, str], bytes]) -> None:
    """Register how an object of a tenant is read in clear, by its key."""
    _readers[:] = [read]


def read_object(tenant_id: UUID, object_key: str) -> bytes:
    """An object as its tenant would get it. Needs the platform role. Raises storage errors, TamperedSeal."""
    return _readers[0](tenant_id, object_key)


def name_objects_with(named: Callable[[Sequence[str]], set[str]]) -> None:
    """Register which of some objects, by their keys, there are rows for: who uses them, or will remove them."""
    _namers[:] = [named]


def named_objects(object_keys: Sequence[str]) -> set[str]:
    """Those of them that a row names. Needs the platform role."""
    return _namers[0](object_keys)


def keep_books(*tables: str) -> None:
    """Register tables of tenants that outlive an erasure: they hold amounts and times, never what was drawn."""
    _books.update(tables)


def books() -> set[str]:
    return set(_books)


def leave_to_clock(*tables: str) -> None:
    """Register tables of tenants that name objects which the clock has still to delete, and nothing else: one that is
    put in the moment of an erasure goes by its row."""
    _left_to_clock.update(tables)


def left_to_clock() -> set[str]:
    return set(_left_to_clock)


def name_people_in(table: str, column: str) -> None:
    """Register a column of a tenant's rows that may have a person's address: they stay when the person is erased."""
    _people.add((table, column))


def columns_with_people() -> list[tuple[str, str]]:
    return sorted(_people)


def keep_from_export(table: str, *columns: str) -> None:
    """Register what of a tenant's rows is not its own to read: staff's, or a stranger's. No columns: none of it."""
    _unexported[table] = set(columns)


def tables_kept_from_export() -> set[str]:
    return {table for table, columns in _unexported.items() if not columns}


def columns_kept_from_export(table: str) -> set[str]:
    return set(_unexported.get(table, ()))


def create_tenant(*, name: str, owner: User | None = None, slug: str = "") -> Tenant:
    """A tenant with a data key of its own, its first member, and whatever upper apps add. Needs the platform role."""
    tenant_id = new_id()
    _, data_key, version = new_data_key()
    with atomic():
        tenant = Tenant.objects.create(
            id=tenant_id,
            name=name,
            slug=slug or _slug(name, tenant_id),
            data_key=data_key,
            data_key_version=version,
        )
        if owner is not None:
            Member.objects.create(tenant=tenant, user=owner, role=Member.Role.OWNER)
        for act in _when_created:
            act(tenant)
    return tenant


def freeze(tenant_id: UUID) -> bool:
    """Suspend a tenant: within keys.REMEMBER_SECONDS its keys open nothing. False where it was already. Needs the
    platform role."""
    return changed("UPDATE tenants_tenant SET frozen_at = now() WHERE id = %s AND frozen_at IS NULL", [tenant_id]) == 1


def unfreeze(tenant_id: UUID) -> bool:
    sql = "UPDATE tenants_tenant SET frozen_at = NULL WHERE id = %s AND frozen_at IS NOT NULL"
    return changed(sql, [tenant_id]) == 1


def _slug(name: str, tenant_id: UUID) -> str:
    """A name in another script than Latin leaves nothing to build on."""
    return f"{slugify(name)[:50].strip('-') or 'tenant'}-{tenant_id.hex[-8:]}"
