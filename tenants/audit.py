"""The audit log: who did what, when, from where, to which object. Written in the transaction of the deed itself.

Append-only, by grants and by triggers. Each record's digest covers its content and the digest before it, one chain
per tenant and one for the platform itself, so that a record which was changed or removed behind our back shows.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from easel.database import atomic, rows
from easel.identifiers import new_id
from easel.requests import current_request_id
from tenants.models import AuditRecord

FIRST: Final = bytes(32)  # what the first record of a chain stands on
LOCK_SPACE: Final = 0x0EA5E2
CUT: Final = "…"  # the end of what was too long for its column


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts. `name` is an e-mail address or a key's public id; `address` is where they come from."""

    kind: str
    name: str = ""
    address: str = ""


SYSTEM: Final = Actor(kind=AuditRecord.Actor.SYSTEM, name="easel")
_actor: ContextVar[Actor] = ContextVar("actor", default=SYSTEM)


def current_actor() -> Actor:
    return _actor.get()


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Whatever the block records was done by this actor."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def record(
    action: str,
    *,
    tenant_id: UUID | None,
    object_kind: str = "",
    object_id: object = "",
    details: Mapping[str, Any] | None = None,
    actor: Actor | None = None,
) -> AuditRecord:
    """Add one record to the tenant's chain, or to the platform's own without a tenant.

    `details` holds JSON values: what a reader needs to understand the deed, never a secret or a prompt. A value that
    its column cannot hold is cut, which its end shows: no deed fails for what would be said of it.
    """
    actor = actor or current_actor()
    with atomic():
        # One at a time per chain: a sequence without holes is what makes a removed record visible.
        rows("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCK_SPACE, str(tenant_id)])
        last = rows(
            "SELECT sequence, digest FROM tenants_auditrecord WHERE tenant_id IS NOT DISTINCT FROM %s "
            "ORDER BY sequence DESC LIMIT 1",
            [tenant_id],
        )
        sequence, previous = (last[0][0] + 1, bytes(last[0][1])) if last else (1, FIRST)
        entry = AuditRecord(
            id=new_id(),
            tenant_id=tenant_id,
            sequence=sequence,
            at=datetime.now(UTC),
            actor_kind=actor.kind,
            actor=_fitting("actor", actor.name),
            action=_fitting("action", action),
            object_kind=_fitting("object_kind", object_kind),
            object_id=_fitting("object_id", str(object_id)),
            details=dict(details or {}),
            address=_fitting("address", actor.address),
            request_id=_fitting("request_id", current_request_id()),
            previous=previous,
        )
        entry.digest = _digest(entry)
        entry.save(force_insert=True)
    return entry


def first_break(tenant_id: UUID | None) -> int | None:
    """The sequence number at which the chain no longer holds, or None while it does.

    The end of a chain can be cut without a trace inside it: compare its last digest with one kept elsewhere.
    """
    previous, expected = FIRST, 1
    for entry in AuditRecord.objects.filter(tenant_id=tenant_id).order_by("sequence").iterator():
        intact = bytes(entry.previous) == previous and bytes(entry.digest) == _digest(entry)
        if entry.sequence != expected or not intact:
            return expected
        previous, expected = bytes(entry.digest), expected + 1
    return None


def _fitting(column: str, text: str) -> str:
    most: int = AuditRecord._meta.get_field(column).max_length  # type: ignore[union-attr, assignment]  # columns of text
    return text if len(text) <= most else f"{text[: most - len(CUT)]}{CUT}"


def _digest(entry: AuditRecord) -> bytes:
    content = [
        str(entry.id),
        str(entry.tenant_id),
        entry.sequence,
        entry.at.astimezone(UTC).isoformat(),
        entry.actor_kind,
        entry.actor,
        entry.action,
        entry.object_kind,
        entry.object_id,
        entry.details,
        entry.address,
        entry.request_id,
    ]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(bytes(entry.previous) + canonical.encode()).digest()
