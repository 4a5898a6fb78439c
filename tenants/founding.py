"""A tenant of one's own: asked for by a person in the customer web, made by the clock once their address is confirmed.

The customer web has not the rights to make a tenant, to put it on a plan or to remember who has had opening credits.
"""

from typing import Final
from uuid import UUID

from easel.clock import duty
from easel.database import atomic, rows
from tenants import audit, lifecycle
from tenants.audit import Actor
from tenants.models import AuditRecord, Founding, User
from tenants.scope import person_scope

MOST_PER_PERSON: Final = 5
AT_ONCE: Final = 20

_WAITING: Final = """
SELECT f.id FROM tenants_founding f JOIN tenants_user u ON u.id = f.user_id
WHERE f.founded_id IS NULL AND u.is_active AND EXISTS (
    SELECT 1 FROM account_emailaddress e WHERE e.user_id = u.id AND e.verified AND lower(e.email) = lower(u.email)
)
ORDER BY f.created_at LIMIT %s
"""


class TooManyFoundings(Exception):
    """This person has asked for as many tenants as one may."""


def ask(user: User, name: str) -> None:
    with person_scope(user.id):
        rows("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"founding:{user.id}"])  # counted one after the other
        if Founding.objects.filter(user=user).count() >= MOST_PER_PERSON:
            raise TooManyFoundings(f"A person may found {MOST_PER_PERSON} workspaces.")
        Founding.objects.create(user=user, name=name)


def waiting(user: User) -> bool:
    """Whether one is on its way."""
    with person_scope(user.id):
        return Founding.objects.filter(user=user, founded=None).exists()


@duty("found_tenants", every=1.0)
def found_waiting() -> int:
    return sum(_found(founding_id) for (founding_id,) in rows(_WAITING, [AT_ONCE]))


def _found(founding_id: UUID) -> bool:
    with atomic():
        founding = (
            Founding.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("user")
            .filter(id=founding_id, founded=None)
            .first()
        )
        if founding is None:
            return False
        tenant = lifecycle.create_tenant(name=founding.name, owner=founding.user)
        founding.founded = tenant
        founding.save(update_fields=["founded"])
        audit.record(
            "tenant.created",
            tenant_id=tenant.id,
            object_kind="tenant",
            object_id=tenant.id,
            details={"name": tenant.name},
            actor=Actor(kind=AuditRecord.Actor.PERSON, name=founding.user.email),
        )
    return True
