"""API keys: made once, shown once, looked up on every request.

A look-up is the customer web's only cross-tenant read (`auth_key()`, a SECURITY DEFINER function), remembered per
process for `REMEMBER_SECONDS`, so that a revoked key or token is refused everywhere within five seconds.
"""

import ipaddress
import re
import secrets
import string
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext_noop as _

from easel.crypto import DataKey, KeyDestroyed, open_data_key, open_sealed, seal
from easel.database import rows
from easel.identifiers import new_id
from tenants.models import APIKey, Tenant

REMEMBER_SECONDS: Final = 3.0
REMEMBER_AT_MOST: Final = 10_000

PUBLIC_ID = re.compile(r"ek_(live|test)_[A-Za-z0-9]{20}", re.ASCII)
# Letters and digits alone survive a double click, a shell and the log's redaction whole.
_ALPHABET: Final = string.ascii_letters + string.digits
_SECRET_LENGTH: Final = 43  # 256 bits

SCOPES: Final = {
    "generations:write": _("Create generations and quotes."),
    "generations:read": _("Read generations and fetch their images."),
    "account:read": _("Read the plan, its limits and the wallet."),
    "account:write": _("Set spend caps and quotas of the account and its keys."),
    "usage:read": _("Read what was used, by day, key, model and status."),
    "keys:read": _("List API keys, without their secrets."),
    "keys:write": _("Create, change, rotate and revoke API keys."),
    "webhooks:read": _("Read webhook endpoints and what was delivered."),
    "webhooks:write": _("Create and change webhook endpoints, read their secrets, send again."),
    "audit:read": _("Read and export the audit log."),
    "data:manage": _("Change how images and prompts are kept, and for how long."),
}


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key with what its tenant adds to it, as one look-up returns it."""

    public_id: str
    key_id: UUID
    tenant_id: UUID
    mode: str
    scopes: frozenset[str]
    secret_sealed: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    tenant_frozen_at: datetime | None
    data_key_sealed: bytes
    data_key_version: int
    previous_secret_sealed: bytes | None
    previous_until: datetime | None
    allowed_networks: tuple[str, ...]
    tokens_not_before: datetime | None
    last_used_at: datetime | None
    allowed_origins: tuple[str, ...]
    revoked_tokens: frozenset[bytes]
    read_at: float  # Unix seconds: a secret that it knows may be replaced since then

    @property
    def data_key(self) -> DataKey:
        return open_data_key(self.data_key_sealed, self.data_key_version)

    @property
    def secret(self) -> bytes:
        """What an HS256 signature is verified with: the ASCII bytes of the secret as the customer holds it."""
        return open_sealed(self.secret_sealed, key=self.data_key, context=_context(self.key_id))

    @property
    def secrets(self) -> list[bytes]:
        """Every secret that is good now, the newest first: two while a rotation overlaps."""
        good = [self.secret]
        if self.previous_secret_sealed and self.previous_until and self.previous_until > datetime.now(UTC):
            good.append(open_sealed(self.previous_secret_sealed, key=self.data_key, context=_context(self.key_id)))
        return good

    def admits(self, address: str) -> bool:
        """Whether the key may be used from this address. An address that cannot be read is outside of any list."""
        if not self.allowed_networks:
            return True
        try:
            caller = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(caller in ipaddress.ip_network(network) for network in self.allowed_networks)


def tenant_data_key(tenant: Tenant) -> DataKey:
    return open_data_key(tenant.data_key, tenant.data_key_version)


def data_key_of(tenant_id: UUID) -> DataKey:
    """The key as it is now. Needs the tenant's scope or the platform role. Raises KeyDestroyed after an erasure."""
    found = rows("SELECT data_key, data_key_version FROM tenants_tenant WHERE id = %s", [tenant_id])
    if not found:
        raise KeyDestroyed("There is no such tenant.")
    return open_data_key(*found[0])


def mint(
    tenant: Tenant,
    *,
    name: str,
    scopes: Collection[str],
    mode: str = APIKey.Mode.LIVE,
    expires_at: datetime | None = None,
    allowed_networks: Collection[str] = (),
) -> tuple[APIKey, str]:
    """A new key and its secret, which nobody can read again. Needs the tenant's scope or the platform role."""
    unknown = set(scopes) - SCOPES.keys()
    if unknown:
        raise ValueError(f"There is no scope {min(unknown)!r}.")
    key_id = new_id()
    secret, sealed = new_secret(tenant, key_id)
    key = APIKey.objects.create(
        id=key_id,
        tenant=tenant,
        public_id=f"ek_{mode}_{_random(20)}",
        name=name,
        mode=mode,
        scopes=sorted(scopes),
        expires_at=expires_at,
        allowed_networks=list(allowed_networks),
        secret_sealed=sealed,
    )
    return key, secret


def new_secret(tenant: Tenant, key_id: UUID) -> tuple[str, bytes]:
    """A secret as the customer gets it, and as the key's row keeps it."""
    secret = f"es_{_random(_SECRET_LENGTH)}"
    return secret, seal(secret.encode(), key=tenant_data_key(tenant), context=_context(key_id))


def find(public_id: str) -> KeyRecord | None:
    """The key of that public id, at most `REMEMBER_SECONDS` old. Absence is not remembered."""
    now = time.monotonic()
    remembered = _remembered.get(public_id)
    if remembered is not None and remembered[0] > now:
        return remembered[1]
    read_at = time.time()
    found = rows(_FIND, [public_id])
    if not found:
        return None
    record = _record(public_id, found[0], read_at)
    with _lock:
        if len(_remembered) >= REMEMBER_AT_MOST:
            _remembered.clear()
        _remembered[public_id] = (now + REMEMBER_SECONDS, record)
    return record


def forget(public_id: str) -> None:
    """Look this key up anew at its next use in this process; others do within REMEMBER_SECONDS."""
    with _lock:
        _remembered.pop(public_id, None)


def holder(public_id: str, *, since: float, digest: bytes = b"") -> str:
    """Who listens to `easel.hub` by this key: proven at that time (Unix seconds), by the token of that digest."""
    return f"{public_id}:{since!r}:{digest.hex()}"


def refused(holders: Collection[str]) -> set[str]:
    """Which of these open nothing any more: their key was revoked, has expired, is gone or of a frozen tenant; their
    token was given back, or issued before the key's `tokens_not_before`. One statement that looks at each key once, and
    remembers nothing. What is no holder by a key is nobody's business here."""
    wanted = {each: each.split(":") for each in holders if each.startswith("ek_")}
    if not wanted:
        return set()
    ids, since, digests = zip(*wanted.values(), strict=True)
    tokens = [bytes.fromhex(each) for each in digests]
    good = rows(_STILL_GOOD, [list(set(ids)), list(wanted), list(ids), [float(each) for each in since], tokens])
    return wanted.keys() - {name for (name,) in good}


def forget_all() -> None:
    """Drop this process's memory of keys."""
    with _lock:
        _remembered.clear()


_FIND: Final = (
    "SELECT key_id, tenant_id, mode, scopes, secret_sealed, expires_at, revoked_at, tenant_frozen_at, data_key, "
    "data_key_version, previous_secret_sealed, previous_until, allowed_networks, tokens_not_before, last_used_at, "
    "allowed_origins, revoked_tokens FROM auth_key(%s)"
)


_STILL_GOOD: Final = """
WITH key AS MATERIALIZED (
    SELECT wanted.id, k.tokens_not_before, k.revoked_tokens
    FROM unnest(%s::text[]) AS wanted (id), LATERAL auth_key(wanted.id) AS k
    WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND k.tenant_frozen_at IS NULL
)
SELECT asked.holder
FROM unnest(%s::text[], %s::text[], %s::float8[], %s::bytea[]) AS asked (holder, id, since, digest)
JOIN key ON key.id = asked.id
WHERE (key.tokens_not_before IS NULL OR key.tokens_not_before < to_timestamp(asked.since))
    AND asked.digest <> ALL (key.revoked_tokens)
"""


def _record(public_id: str, row: tuple[Any, ...], read_at: float) -> KeyRecord:
    (
        key_id, tenant_id, mode, scopes, secret, expires_at, revoked_at, frozen_at, data_key, version,
        previous, previous_until, networks, not_before, last_used_at, origins, revoked,
    ) = row  # fmt: skip
    return KeyRecord(
        public_id, key_id, tenant_id, mode, frozenset(scopes), bytes(secret), expires_at, revoked_at, frozen_at,
        bytes(data_key), version, bytes(previous) if previous else None, previous_until, tuple(networks), not_before,
        last_used_at, tuple(origins), frozenset(map(bytes, revoked)), read_at,
    )  # fmt: skip


_remembered: dict[str, tuple[float, KeyRecord]] = {}
_lock = Lock()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _context(key_id: UUID) -> bytes:
    return b"tenants.apikey.secret:" + key_id.bytes
