"""The one door into money: reserve, settle, release. Every function is one statement inside the caller's transaction.

Each change of a wallet writes its entries in the same statement. An operation is known by `operation_id`, unique per
tenant in the database, so that the same operation cannot count twice, whoever repeats it.
"""

from typing import Final
from uuid import UUID

from easel.database import changed, rows
from easel.identifiers import new_id


class InsufficientCredits(Exception):
    """The wallet does not cover the amount. Nothing was held."""


class AlreadySettled(Exception):
    """The hold has ended before, or never was."""


_GRANT: Final = """
WITH wallet AS (
    INSERT INTO billing_wallet (id, tenant_id, available, held) VALUES (%(id)s, %(tenant)s, %(amount)s, 0)
    ON CONFLICT (tenant_id) DO UPDATE SET available = billing_wallet.available + EXCLUDED.available
    RETURNING tenant_id
)
INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, operation_id)
SELECT %(id)s, tenant_id, 'grant', %(amount)s, 0, %(operation)s FROM wallet
"""

_HOLD: Final = """
WITH wallet AS (
    UPDATE billing_wallet SET available = available - %(amount)s, held = held + %(amount)s
    WHERE tenant_id = %(tenant)s AND available >= %(amount)s
    RETURNING tenant_id
), hold AS (
    INSERT INTO billing_hold (id, tenant_id, owner_id, amount, remaining)
    SELECT %(id)s, tenant_id, %(owner)s, %(amount)s, %(amount)s FROM wallet
    RETURNING tenant_id
)
INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, owner_id, operation_id)
SELECT %(id)s, tenant_id, 'hold', -%(amount)s, %(amount)s, %(owner)s, 'hold:' || %(owner)s FROM hold
"""

# The hold's remaining amount goes to zero once: whoever finds it there settles, all others change nothing.
_SETTLE: Final = """
WITH hold AS (
    UPDATE billing_hold SET remaining = 0 FROM (
        SELECT id AS found, remaining AS had FROM billing_hold
        WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s FOR UPDATE
    ) AS before
    WHERE id = found AND remaining > 0
    RETURNING tenant_id, had, least(had, %(charge)s) AS charged
), wallet AS (
    UPDATE billing_wallet w SET held = w.held - hold.had, available = w.available + hold.had - hold.charged
    FROM hold WHERE w.tenant_id = hold.tenant_id
), charge AS (
    INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, owner_id, operation_id)
    SELECT %(charge_id)s, tenant_id, 'charge', 0, -charged, %(owner)s, 'charge:' || %(owner)s FROM hold
    WHERE charged > 0
), release AS (
    INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, owner_id, operation_id)
    SELECT %(release_id)s, tenant_id, 'release', had - charged, charged - had, %(owner)s, 'release:' || %(owner)s
    FROM hold WHERE had > charged
)
SELECT charged FROM hold
"""


def grant(tenant_id: UUID, amount: int, *, operation_id: str) -> bool:
    """Add credits. False where this operation was already done."""
    already = rows(
        "SELECT 1 FROM billing_entry WHERE tenant_id = %s AND operation_id = %s", [tenant_id, operation_id]
    )
    if already:
        return False
    parameters = {"id": new_id(), "tenant": tenant_id, "amount": amount, "operation": operation_id}
    return changed(_GRANT, parameters) == 1


def hold(tenant_id: UUID, owner_id: UUID, amount: int) -> None:
    """Set credits aside for an owner. Raises InsufficientCredits."""
    parameters = {"id": new_id(), "tenant": tenant_id, "owner": owner_id, "amount": amount}
    if changed(_HOLD, parameters) == 0:
        raise InsufficientCredits(f"{amount} credits are needed.")


def settle(tenant_id: UUID, owner_id: UUID, *, charge: int) -> int:
    """End a hold: charge at most what was held, release the rest. Returns the credits charged; AlreadySettled."""
    charged = rows(
        _SETTLE,
        {"tenant": tenant_id, "owner": owner_id, "charge": charge, "charge_id": new_id(), "release_id": new_id()},
    )
    if not charged:
        raise AlreadySettled(f"Hold of {owner_id}")
    return int(charged[0][0])


def release(tenant_id: UUID, owner_id: UUID) -> None:
    """End a hold without a charge."""
    settle(tenant_id, owner_id, charge=0)


