"""What each role may do in the console: the one table that pages ask, and that the tests hold every route against."""

from typing import Final

from tenants.models import Member

OWNER, ADMIN, DEVELOPER, VIEWER = (
    Member.Role.OWNER.value,
    Member.Role.ADMIN.value,
    Member.Role.DEVELOPER.value,
    Member.Role.VIEWER.value,
)
ROLES: Final = (OWNER, ADMIN, DEVELOPER, VIEWER)

VIEW: Final = "console.view"
LEAVE: Final = "tenant.leave"  # a suspended workspace, too

PERMISSIONS: Final[dict[str, frozenset[str]]] = {
    VIEW: frozenset(ROLES),
    "pictures.make": frozenset({OWNER, ADMIN, DEVELOPER}),
    "keys.view": frozenset({OWNER, ADMIN, DEVELOPER}),
    "keys.manage": frozenset({OWNER, ADMIN, DEVELOPER}),
    "webhooks.manage": frozenset({OWNER, ADMIN, DEVELOPER}),
    "members.view": frozenset(ROLES),
    "members.manage": frozenset({OWNER, ADMIN}),
    "owners.manage": frozenset({OWNER}),
    "tenant.change": frozenset({OWNER, ADMIN}),
    LEAVE: frozenset(ROLES),
    "billing.view": frozenset({OWNER, ADMIN}),
    "billing.manage": frozenset({OWNER, ADMIN}),
    "audit.read": frozenset({OWNER}),
}


def may(role: str, permission: str) -> bool:
    """An unknown permission is a mistake of ours and raises KeyError; an unknown role may nothing."""
    return role in PERMISSIONS[permission]


def of(role: str) -> frozenset[str]:
    """Everything the role may do."""
    return frozenset(name for name in PERMISSIONS if may(role, name))
