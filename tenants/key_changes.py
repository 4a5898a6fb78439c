"""What people and programs do to API keys: make, change, rotate, revoke. Each deed is in the audit log.

All of it in the tenant's scope. Who may do what is decided before, by a role or a scope.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext_noop

from easel.database import on_commit
from tenants import audit, keys
from tenants.audit import Actor
from tenants.models import APIKey, Tenant
from tenants.scope import tenant_scope

LONGEST_OVERLAP: Final = timedelta(days=30)
MOST_KEYS: Final = 200  # that are not revoked, per tenant
TOO_MANY: Final = gettext_noop("An account has at most %(most)d API keys that are not revoked.")


class ConsolesKey(Exception):
    """It is the one that the console itself draws under."""

    def __init__(self) -> None:
        super().__init__("This is the console's own key: nobody holds its secret. Set a spend cap for it instead.")


class TooManyKeys(Exception):
    """The tenant has as many keys as it may. Revoke some."""


def create(
    tenant_id: UUID,
    *,
    name: str,
    scopes: Collection[str],
    mode: str,
    expires_at: datetime | None,
    allowed_networks: Collection[str],
    actor: Actor,
) -> tuple[APIKey, str]:
    """The key and its secret, which is never shown again."""
    with tenant_scope(tenant_id):
        tenant = Tenant.objects.get(id=tenant_id)
        if APIKey.objects.filter(revoked_at=None).count() >= MOST_KEYS:
            raise TooManyKeys(TOO_MANY % {"most": MOST_KEYS})
        key, secret = keys.mint(
            tenant, name=name, scopes=scopes, mode=mode, expires_at=expires_at, allowed_networks=allowed_networks
        )
        details = {"name": name, "mode": mode, "scopes": sorted(scopes), "allowed_networks": list(allowed_networks)}
        _record("key.created", key, actor, details)
        key.refresh_from_db()
    return key, secret


def change(key: APIKey, *, values: Mapping[str, Any], actor: Actor) -> APIKey:
    """Set name, expires_at or allowed_networks."""
    with tenant_scope(key.tenant_id):
        for name, value in values.items():
            setattr(key, name, value)
        key.save(update_fields=list(values))
        _record("key.changed", key, actor, {name: _plain(value) for name, value in values.items()})
    on_commit(partial(keys.forget, key.public_id))
    return key


def rotate(key: APIKey, *, overlap: timedelta, actor: Actor) -> str | None:
    """A new secret. The one before stays good for `overlap`, so that programs can be told one after the other.

    None where the key was revoked meanwhile. A secret that was still overlapping from a rotation before ends now.
    Without overlap, as after a leak, tokens issued until now end, too. Raises ConsolesKey.
    """
    _check_whose(key)
    with tenant_scope(key.tenant_id):
        tenant = Tenant.objects.get(id=key.tenant_id)
        fresh = APIKey.objects.select_for_update().get(id=key.id)
        if fresh.revoked_at is not None:
            return None
        secret, sealed = keys.new_secret(tenant, key.id)
        fresh.previous_secret_sealed, fresh.previous_until = fresh.secret_sealed, datetime.now(UTC) + overlap
        if not overlap:
            fresh.previous_secret_sealed, fresh.previous_until = None, None
            fresh.tokens_not_before = datetime.now(UTC)
        fresh.secret_sealed = sealed
        fresh.save(update_fields=["secret_sealed", "previous_secret_sealed", "previous_until", "tokens_not_before"])
        _record("key.rotated", key, actor, {"overlap_seconds": int(overlap.total_seconds())})
    on_commit(partial(keys.forget, key.public_id))
    return secret


def revoke(key: APIKey, *, actor: Actor) -> bool:
    """For good, within `keys.REMEMBER_SECONDS` everywhere. False where it was already. Raises ConsolesKey."""
    _check_whose(key)
    with tenant_scope(key.tenant_id):
        done = APIKey.objects.filter(id=key.id, revoked_at=None).update(revoked_at=datetime.now(UTC)) == 1
        if done:
            _record("key.revoked", key, actor, {"name": key.name})
    on_commit(partial(keys.forget, key.public_id))
    return done


def _check_whose(key: APIKey) -> None:
    """The console would make itself another key at its next picture: one without the caps of this one."""
    if key.is_console:
        raise ConsolesKey


def _record(action: str, key: APIKey, actor: Actor, details: Mapping[str, Any]) -> None:
    audit.record(
        action, tenant_id=key.tenant_id, object_kind="key", object_id=key.public_id, details=details, actor=actor
    )


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
