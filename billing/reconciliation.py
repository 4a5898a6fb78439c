"""Recompute everything that is kept twice, and say where the two differ.

Each check is one statement that yields a row per difference: the tenant, what it is about, what is there, what should
be. All run on one snapshot. Upper apps register what only they can know (`add`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Gauge

from easel.database import atomic, rows

DIFFERENCES = Gauge("easel_ledger_differences", "Differences the last reconciliation found.", ["check"])
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Difference:
    tenant_id: UUID
    what: str
    found: str
    expected: str


_CHECKS: Final[dict[str, str]] = {
    "wallet_equals_entries": """
        SELECT wallet.tenant_id, 'available/held', available || '/' || held, a || '/' || h
        FROM billing_wallet wallet LEFT JOIN (
            SELECT tenant_id, sum(available_delta) AS a, sum(held_delta) AS h FROM billing_entry GROUP BY tenant_id
        ) AS entries USING (tenant_id)
        WHERE available <> coalesce(a, 0) OR held <> coalesce(h, 0)""",
    "entries_have_a_wallet": """
        SELECT DISTINCT tenant_id, 'wallet', 'none', 'one' FROM billing_entry
        WHERE tenant_id NOT IN (SELECT tenant_id FROM billing_wallet)""",
    "wallet_equals_lots": """
        SELECT wallet.tenant_id, 'available/held', wallet.available || '/' || held, a || '/' || p
        FROM billing_wallet wallet LEFT JOIN (
            SELECT tenant_id, sum(available) AS a, sum(pinned) AS p FROM billing_lot GROUP BY tenant_id
        ) AS lots USING (tenant_id)
        WHERE wallet.available <> coalesce(a, 0) OR held <> coalesce(p, 0)""",
    "lots_equal_entries": """
        SELECT lots.tenant_id, 'charged/removed', c || '/' || r, charged || '/' || gone
        FROM (SELECT tenant_id, sum(charged) AS c, sum(removed) AS r FROM billing_lot GROUP BY tenant_id) AS lots
        LEFT JOIN (
            SELECT tenant_id, coalesce(-sum(held_delta) FILTER (WHERE kind = 'charge'), 0) AS charged,
                coalesce(-sum(available_delta) FILTER (WHERE kind = 'expiry' OR kind = 'adjustment'
                    AND available_delta < 0), 0) AS gone
            FROM billing_entry GROUP BY tenant_id
        ) AS entries USING (tenant_id)
        WHERE c <> coalesce(charged, 0) OR r <> coalesce(gone, 0)""",
    "holds_equal_pins": """
        SELECT hold.tenant_id, 'hold of ' || owner_id, remaining::text, coalesce(pinned, 0)::text
        FROM billing_hold hold LEFT JOIN (
            SELECT hold_id, sum(amount) AS pinned FROM billing_pin GROUP BY hold_id
        ) AS pins ON pins.hold_id = hold.id
        WHERE remaining <> coalesce(pinned, 0)""",
    "lots_equal_pins": """
        SELECT lot.tenant_id, 'lot ' || lot.id, lot.pinned::text, coalesce(pins.pinned, 0)::text
        FROM billing_lot lot LEFT JOIN (
            SELECT lot_id, sum(amount) AS pinned FROM billing_pin GROUP BY lot_id
        ) AS pins ON pins.lot_id = lot.id
        WHERE lot.pinned <> coalesce(pins.pinned, 0)""",
    "holds_equal_entries": """
        SELECT hold.tenant_id, 'hold of ' || hold.owner_id,
            amount || '/' || remaining || '/' || charged || '/' || refunded, a || '/' || r || '/' || c || '/' || f
        FROM billing_hold hold LEFT JOIN (
            SELECT tenant_id, owner_id, sum(held_delta) FILTER (WHERE kind = 'hold') AS a, sum(held_delta) AS r,
                coalesce(-sum(held_delta) FILTER (WHERE kind = 'charge'), 0) AS c,
                coalesce(sum(available_delta) FILTER (WHERE kind = 'refund'), 0) AS f
            FROM billing_entry WHERE owner_id IS NOT NULL GROUP BY tenant_id, owner_id
        ) AS entries ON entries.tenant_id = hold.tenant_id AND entries.owner_id = hold.owner_id
        WHERE (amount, remaining, charged, refunded) IS DISTINCT FROM (a, r, c, f)""",
    "usage_equals_entries": """
        SELECT coalesce(u.tenant_id, e.tenant_id), concat_ws(' ', coalesce(u.day, e.day), coalesce(u.model, e.model)),
            concat_ws('/', u.g, u.i, u.c, u.r), concat_ws('/', e.g, e.i, e.c, e.r)
        FROM (SELECT tenant_id, day, key_id, model, status, generations AS g, images AS i, charged AS c, refunded AS r
              FROM billing_usage) AS u
        FULL JOIN (
            SELECT tenant_id, (created_at AT TIME ZONE 'UTC')::date AS day, key_id, model, status,
                sum(generations) AS g, sum(images) AS i,
                coalesce(-sum(held_delta) FILTER (WHERE kind = 'charge'), 0) AS c,
                coalesce(sum(available_delta) FILTER (WHERE kind = 'refund'), 0) AS r
            FROM billing_entry WHERE kind IN ('charge', 'release', 'refund') GROUP BY 1, 2, 3, 4, 5
            HAVING sum(generations) > 0 OR bool_or(kind <> 'release')
        ) AS e USING (tenant_id, day, key_id, model, status)
        WHERE (u.g, u.i, u.c, u.r) IS DISTINCT FROM (e.g, e.i, e.c, e.r)""",
}


def add(check: str, sql: str) -> None:
    """Register another check."""
    _CHECKS[check] = sql


def run(*, tenant_id: UUID | None = None) -> Mapping[str, list[Difference]]:
    """Every check with its differences, of one tenant or of all. Needs the platform role, outside of a transaction."""
    with atomic():
        rows("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = {check: [Difference(*row) for row in rows(_of(sql, tenant_id))] for check, sql in _CHECKS.items()}
    for check, differences in found.items():
        if tenant_id is None:
            DIFFERENCES.labels(check).set(len(differences))
        for difference in differences:
            log.error("reconciliation.difference", check=check, tenant=str(difference.tenant_id), what=difference.what,
                      found=difference.found, expected=difference.expected)  # fmt: skip
    return found


def _of(sql: str, tenant_id: UUID | None) -> str:
    if tenant_id is None:
        return sql
    return f"SELECT * FROM ({sql}) AS difference (tenant_id, what, found, expected) WHERE tenant_id = '{tenant_id}'"  # noqa: S608
