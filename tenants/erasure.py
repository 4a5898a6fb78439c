"""Erasing a tenant, or a person, for good. Interrupted, it goes on where it was; run again, it gives the same receipt.

A tenant, in this order:

1. It is frozen; upper apps stop its work and give back what is held (`lifecycle.on_erasing`).
2. Its entry in the key escrow is destroyed, then its data key. From here on nothing that was sealed for it opens, here
   or in any backup.
3. Its objects are deleted from the store.
4. Its rows go, but for the books and the audit log, which the law wants kept. They hold no prompts and no pictures.
5. A receipt says what was done, signed.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.apps import apps

from easel.database import atomic, changed, rows
from easel.identifiers import new_id
from easel.storage import storage
from tenants import audit, escrow, lifecycle, membership, receipts
from tenants.models import Erasure, Member, Tenant, TenantRow, User

BATCH: Final = 500
Report = Callable[[str], None]


class NotErasable(Exception):
    """It cannot be erased as asked; nothing was done."""


def erase_tenant(tenant_id: UUID, *, report: Report = lambda _: None) -> str:
    """The signed receipt. Needs the platform role, outside of a transaction. Raises EscrowUnavailable and storage
    errors; then run it again."""
    erasure = _begin(Erasure.Subject.TENANT, tenant_id)
    if erasure.receipt:
        return str(erasure.receipt)
    lifecycle.freeze(tenant_id)
    lifecycle.erasing(tenant_id)
    report("frozen, its work stopped")
    if not _destroy_key(erasure):
        report(f"the key escrow {escrow.path()} had no entry of it: if it is in backups, make sure that this is theirs")
    report("its key is destroyed")
    objects = _delete_objects(tenant_id)
    report(f"{objects} objects deleted")
    counted = _delete_rows(tenant_id)
    report(f"{counted} rows deleted")
    return _finish(erasure, objects=objects, counted=counted)


def erase_person(user_id: UUID) -> str:
    """The signed receipt. The person's account, memberships, sign-in methods and sessions go. Needs the platform role.

    Audit records keep the address that acted: they are a chain, and what a tenant's people did is the tenant's record.
    """
    erasure = _begin(Erasure.Subject.PERSON, user_id)
    if erasure.receipt:
        return str(erasure.receipt)
    with atomic():
        user = User.objects.select_for_update().filter(id=user_id).first()
        counted = 0
        if user is not None:
            alone = _owned_alone(user_id)
            if alone:
                names = ", ".join(alone)
                raise NotErasable(f"This person is the only owner of {names}. Name another owner, or erase the tenant.")
            _end_sessions(user_id)
            for member in Member.objects.filter(user=user):
                membership.withdraw_invitations(member, actor=audit.current_actor(), gone=True)
            changed("DELETE FROM tenants_invitation WHERE lower(email) = lower(%s)", [user.email])
            for table, column in lifecycle.columns_with_people():
                change = f"UPDATE {table} SET {column} = 'erased' WHERE lower({column}) = lower(%s)"  # noqa: S608
                changed(change, [user.email])
            counted, _ = user.delete()
    return _finish(erasure, objects=0, counted=counted)


def _begin(subject: str, subject_id: UUID) -> Erasure:
    known = Tenant if subject == Erasure.Subject.TENANT else User
    begun = Erasure.objects.filter(subject=subject, subject_id=subject_id).first()
    if begun is None and not known.objects.filter(id=subject_id).exists():
        raise NotErasable(f"There is no such {subject}.")
    return begun or Erasure.objects.get_or_create(subject=subject, subject_id=subject_id)[0]


def _destroy_key(erasure: Erasure) -> bool:
    """Whether the key escrow had an entry of it."""
    had = escrow.forget(erasure.subject_id)
    with atomic():
        changed("UPDATE tenants_tenant SET data_key = ''::bytea WHERE id = %s", [erasure.subject_id])
        changed(
            "UPDATE tenants_erasure SET key_destroyed_at = coalesce(key_destroyed_at, now()) WHERE id = %s",
            [erasure.id],
        )
    return had


def _delete_objects(tenant_id: UUID) -> int:
    store = storage()
    count = 0
    for key in store.keys(f"t/{tenant_id}/"):
        store.delete(key)
        count += 1
    return count


def _delete_rows(tenant_id: UUID) -> int:
    """All tables of tenants but those that keep books (whose rows not even the platform may delete, or registered with
    `lifecycle.keep_books`) and those that the clock empties."""
    count = 0
    with atomic():
        for table in erased_tables():
            count += changed(f"DELETE FROM {table} WHERE tenant_id = %s", [tenant_id])  # noqa: S608  our own names
        changed(
            "UPDATE tenants_tenant SET name = 'erased', slug = 'erased-' || replace(id::text, '-', ''), "
            "allowed_origins = '{}' WHERE id = %s",
            [tenant_id],
        )
        changed("UPDATE tenants_founding SET name = 'erased' WHERE founded_id = %s", [tenant_id])
    return count


def erased_tables() -> list[str]:
    """References between them are checked when the transaction ends, so the order does not matter."""
    tables = [
        model._meta.db_table
        for model in apps.get_models()
        if issubclass(model, TenantRow) or getattr(model, "erased_with_tenant", False)
    ]
    deletable = rows(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE has_table_privilege('easel_platform', name, 'DELETE') "
        "AND NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = name::regclass AND tgname = 'append_only')",
        [tables],
    )
    return sorted({table for (table,) in deletable} - lifecycle.books() - lifecycle.left_to_clock())


def _owned_alone(user_id: UUID) -> list[str]:
    found = rows(
        "SELECT t.slug FROM tenants_member m JOIN tenants_tenant t ON t.id = m.tenant_id "
        "WHERE m.user_id = %s AND m.role = %s AND NOT EXISTS (SELECT 1 FROM tenants_member other "
        "WHERE other.tenant_id = m.tenant_id AND other.role = %s AND other.user_id <> %s)",
        [user_id, Member.Role.OWNER, Member.Role.OWNER, user_id],
    )
    return [slug for (slug,) in found]


def _end_sessions(user_id: UUID) -> None:
    """Sessions of the web are the web role's own; without its person each of them is nobody's at its next request."""
    from django.contrib.sessions.models import Session

    for session in Session.objects.iterator():
        if session.get_decoded().get("_auth_user_id") == str(user_id):
            session.delete()


def _finish(erasure: Erasure, *, objects: int, counted: int) -> str:
    with atomic():
        changed(
            "UPDATE tenants_erasure SET objects_deleted = objects_deleted + %s, rows_deleted = rows_deleted + %s, "
            "finished_at = coalesce(finished_at, now()) WHERE id = %s",
            [objects, counted, erasure.id],
        )
        done = Erasure.objects.get(id=erasure.id)
        receipt = receipts.sign(_statement(done))
        if changed("UPDATE tenants_erasure SET receipt = %s WHERE id = %s AND receipt = ''", [receipt, done.id]) == 0:
            return str(Erasure.objects.get(id=erasure.id).receipt)
        audit.record(
            f"{done.subject}.erased", tenant_id=None, object_kind=done.subject, object_id=done.subject_id,
            details={"objects": done.objects_deleted, "rows": done.rows_deleted},
        )  # fmt: skip
    return receipt


def _statement(done: Erasure) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "receipt": str(new_id()),
        "erased": done.subject,
        "id": str(done.subject_id),
        "started_at": _moment(done.started_at),
        "finished_at": _moment(done.finished_at),
        "rows_deleted": done.rows_deleted,
        "iat": int(datetime.now(UTC).timestamp()),
    }
    if done.subject == Erasure.Subject.TENANT:
        statement["key_destroyed_at"] = _moment(done.key_destroyed_at)
        statement["objects_deleted"] = done.objects_deleted
        statement["kept"] = "ledger, usage and audit log, without prompts or images"
    else:
        statement["kept"] = "audit records of what the person did for tenants"
    return statement


def _moment(when: datetime | None) -> str | None:
    return None if when is None else when.astimezone(UTC).isoformat()
