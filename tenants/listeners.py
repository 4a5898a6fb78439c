"""People who follow an event stream with their session: who they are to `easel.hub`, and when they may no longer.

A stream is let in once and goes on for an hour; meanwhile a session may end, a password change, a workspace be left or
suspended, or ask for a second factor: what would then be refused a page hears no more either.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Final
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib.sessions.backends.base import SessionBase

from easel.database import rows
from tenants.models import User
from tenants.scope import tenant_scope

_PREFIX: Final = "person:"
# In the workspace's scope. A role sees the sessions that it made itself.
_WELCOME: Final = """
SELECT asked.holder, person.password
FROM unnest(%s::text[], %s::uuid[], %s::text[]) AS asked (holder, person, session)
JOIN tenants_user person ON person.id = asked.person AND person.is_active
JOIN django_session session ON session.session_key = asked.session AND session.expire_date > now()
JOIN tenants_member member ON member.user_id = person.id AND member.tenant_id = %s
JOIN tenants_tenant workspace ON workspace.id = member.tenant_id AND workspace.frozen_at IS NULL
WHERE NOT workspace.requires_two_factor
    OR EXISTS (SELECT 1 FROM mfa_authenticator factor WHERE factor.user_id = person.id AND factor.type <> %s)
"""


def holder(user: User, tenant_id: UUID, session: SessionBase) -> str:
    """The person, the workspace, the session and the password it was opened with."""
    return f"{_PREFIX}{user.id}:{tenant_id}:{session.session_key}:{user.get_session_auth_hash()}"


def refused(holders: Collection[str]) -> set[str]:
    """Which of these people would not get a page of their workspace now. One statement for each workspace, however many
    of its people listen."""
    people = {each: each.removeprefix(_PREFIX).split(":") for each in holders if each.startswith(_PREFIX)}
    by_workspace: dict[str, list[str]] = defaultdict(list)
    for name, (_person, workspace, _session, _password) in people.items():
        by_workspace[workspace].append(name)
    welcome: set[str] = set()
    for workspace, names in by_workspace.items():
        persons, sessions = [people[name][0] for name in names], [people[name][2] for name in names]
        with tenant_scope(UUID(workspace)):
            found = rows(_WELCOME, [names, persons, sessions, workspace, Authenticator.Type.RECOVERY_CODES.value])
        welcome.update(name for name, password in found if _opens(password, people[name][3]))
    return people.keys() - welcome


def _opens(password: str, opened_with: str) -> bool:
    """Whether a session of this password's (as it is kept) is still good: Django ends those of another one."""
    return User(password=password).get_session_auth_hash() == opened_with
