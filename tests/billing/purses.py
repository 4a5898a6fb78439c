"""Tenants with exactly the credits a test needs, and the laws that hold for every wallet."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from billing import ledger
from easel.crypto import new_data_key
from easel.database import platform_role, rows
from easel.identifiers import new_id
from tenants.models import Tenant


class Purse(NamedTuple):
    available: int
    held: int


def tenant_with(amount: int = 0, *, expires_at: datetime | None = None) -> UUID:
    """A tenant made behind the back of `lifecycle`: no plan, no opening credits, only these."""
    tenant_id = new_id()
    _, data_key, version = new_data_key()
    with platform_role():
        Tenant.objects.create(
            id=tenant_id, name="Purse", slug=f"purse-{tenant_id.hex}", data_key=data_key, data_key_version=version
        )
        if amount:
            ledger.grant(tenant_id, amount, operation_id="grant:first", expires_at=expires_at)
    return tenant_id


def purse(tenant_id: UUID) -> Purse:
    with platform_role():
        found = rows("SELECT available, held FROM billing_wallet WHERE tenant_id = %s", [tenant_id])
    return Purse(*found[0]) if found else Purse(0, 0)


def entries(tenant_id: UUID) -> list[tuple[str, int, int]]:
    """Kind and both deltas, oldest first."""
    with platform_role():
        return [
            (kind, available, held)
            for kind, available, held in rows(
                "SELECT kind, available_delta, held_delta FROM billing_entry WHERE tenant_id = %s "
                "ORDER BY created_at, id",
                [tenant_id],
            )
        ]


def lots(tenant_id: UUID) -> list[tuple[int, int, int, int, int]]:
    """amount, available, pinned, charged, removed of each lot, oldest first."""
    with platform_role():
        return [
            tuple(row)
            for row in rows(
                "SELECT amount, available, pinned, charged, removed FROM billing_lot WHERE tenant_id = %s "
                "ORDER BY granted_at, id",
                [tenant_id],
            )
        ]
