"""A tenant of one's own: asked for by a person in the customer web, made by the clock once their address is confirmed.
Where sign-up is closed the operator makes it (`manage.py create_tenant`).

The customer web has not the rights to make a tenant, to put it on a plan or to remember who has had opening credits.
"""

from typing import Final
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from easel.clock import duty
from easel.database import atomic, rows
from tenants import audit, lifecycle
from tenants.audit import Actor
from tenants.models import AuditRecord, Founding, Tenant, User
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


class FoundingRefused(Exception):
    """This person may not ask for another tenant. Says why, in their language."""


class TooManyFoundings(FoundingRefused):
    """They have asked for as many as one may."""


class FoundingClosed(FoundingRefused):
    """Nobody may: sign-up is by invitation only, and tenants are the operator's to make."""


def is_open() -> bool:
    """Whoever may not sign up by themselves makes no tenant of their own either: each begins with credits."""
    return bool(settings.SIGN_UP_OPEN)


def ask(user: User, name: str) -> None:
    """Raises FoundingRefused."""
    if not is_open():
        raise FoundingClosed(_("Here people join workspaces by invitation. Whoever runs this service makes new ones."))
    with person_scope(user.id):
        rows("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"founding:{user.id}"])  # counted one after the other
        if Founding.objects.filter(user=user).count() >= MOST_PER_PERSON:
            raise TooManyFoundings(_("A person may found %(most)d workspaces.") % {"most": MOST_PER_PERSON})
        Founding.objects.create(user=user, name=name)


def waiting(user: User) -> bool:
    """Whether one is on its way."""
    with person_scope(user.id):
        return Founding.objects.filter(user=user, founded=None).exists()


def found(name: str, *, owner: User, actor: Actor) -> Tenant:
    """A tenant with its first owner, on record. Needs the platform role."""
    with atomic():
        tenant = lifecycle.create_tenant(name=name, owner=owner)
        audit.record(
            "tenant.created",
            tenant_id=tenant.id,
            object_kind="tenant",
            object_id=tenant.id,
            details={"name": tenant.name},
            actor=actor,
        )
    return tenant


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
        by = Actor(kind=AuditRecord.Actor.PERSON, name=founding.user.email)
        founding.founded = found(founding.name, owner=founding.user, actor=by)
        founding.save(update_fields=["founded"])
    return True
