"""People who follow an event stream with their session: who they are to `easel.hub`, and when they may no longer.

A stream is let in once and goes on for an hour; whoever left the workspace meanwhile, or was removed, hears no more.
"""

from collections.abc import Collection
from uuid import UUID

from tenants.models import Member, User
from tenants.scope import person_scope

_PREFIX = "person:"


def holder(user_id: UUID, tenant_id: UUID) -> str:
    return f"{_PREFIX}{user_id}:{tenant_id}"


def refused(holders: Collection[str]) -> set[str]:
    """Which of these people are members no more, or have no account."""
    return {each for each in holders if each.startswith(_PREFIX) and not _belongs(each)}


def _belongs(name: str) -> bool:
    user, tenant = (UUID(part) for part in name.removeprefix(_PREFIX).split(":"))
    if not User.objects.filter(id=user, is_active=True).exists():
        return False
    with person_scope(user):
        return Member.objects.filter(tenant_id=tenant).exists()
