"""How far power over keys reaches: nobody makes, changes or takes over a key that may do more than they may themselves.

Else a key bound to a network, to a date or by a spend cap would make itself a sibling that is not; and a developer, a
key that reads the audit log.
"""

import ipaddress
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from easel.problems import Problem, invalid
from tenants import permissions
from tenants.models import APIKey
from tenants.scope import tenant_scope
from tenants.tokens import Principal

BEYOND: Final = "beyond_your_own"
# What a key of such a scope does, a person of the console needs such a permission for.
PERSONAL: Final = {"audit:read": "audit.read", "data:manage": "tenant.change", "account:write": "tenant.change"}

# Whether a key (its tenant, its id) has limits that a sibling of it would not have. Upper apps register.
Limited = Callable[[UUID, UUID], bool]
_limited: list[Limited] = []


def on_limits(limited: Limited) -> Limited:
    if limited not in _limited:
        _limited.append(limited)
    return limited


def check_new(caller: Principal, asked: dict[str, Any]) -> None:
    """Of a key that the caller would make. Raises Problem."""
    _check_scopes(caller, asked["scopes"], field="scopes")
    _check_bounds(caller, asked.get("allowed_networks", []), asked.get("expires_at"))
    _check_limits(caller, None)


def check_taken(caller: Principal, key: APIKey, changed: dict[str, Any] | None = None) -> None:
    """Of a key that the caller would change, or rotate, and so hold the secret of. Raises Problem."""
    _check_scopes(caller, key.scopes)
    _check_limits(caller, key.id)
    _check_bounds(caller, key.allowed_networks, key.expires_at, field="")
    if changed:
        networks = changed.get("allowed_networks", key.allowed_networks)
        _check_bounds(caller, networks, changed.get("expires_at", key.expires_at))


def check_ended(caller: Principal, key: APIKey) -> None:
    """Of a key that the caller would revoke. Raises Problem."""
    _check_scopes(caller, key.scopes)


def grantable(role: str, scopes: Collection[str]) -> set[str]:
    """Those of these scopes that a person of this role may give to a key."""
    return {scope for scope in scopes if scope not in PERSONAL or permissions.may(role, PERSONAL[scope])}


def within(inner: Collection[str], outer: Collection[str]) -> bool:
    """Whether every address of the inner networks is in one of the outer. None at all are all addresses."""
    if not outer:
        return True
    wide = [ipaddress.ip_network(network) for network in outer]
    return bool(inner) and all(
        any(narrow.version == each.version and narrow.subnet_of(each) for each in wide)  # type: ignore[arg-type]
        for narrow in map(ipaddress.ip_network, inner)
    )


def _check_scopes(caller: Principal, scopes: Collection[str], *, field: str = "") -> None:
    beyond = sorted(set(scopes) - caller.scopes)
    if beyond:
        raise _refusal(field, f"The caller does not have {beyond[0]} itself.")


def _check_bounds(
    caller: Principal, networks: Collection[str], expires_at: datetime | None, *, field: str | None = None
) -> None:
    """`field`: what an error names, if not the one that is beyond."""
    if not within(networks, caller.key.allowed_networks):
        raise _refusal("allowed_networks" if field is None else field, "The caller is bound to narrower networks.")
    ends = caller.key.expires_at
    if ends is not None and (expires_at is None or expires_at > ends):
        raise _refusal("expires_at" if field is None else field, "The caller itself ends earlier.")


def _check_limits(caller: Principal, key_id: UUID | None) -> None:
    if key_id == caller.key.key_id:
        return
    with tenant_scope(caller.tenant_id):
        bound = any(limited(caller.tenant_id, caller.key.key_id) for limited in _limited)
    if bound:
        raise Problem("insufficient_scope", "A key with limits of its own makes and takes over no other key.")


def _refusal(field: str, said: str) -> Problem:
    return invalid(field, BEYOND, said) if field else Problem("insufficient_scope", said)
