"""What usage costs to tell when the ledger is long: roll-ups against the entries they sum."""

import statistics
import time
from collections.abc import Callable
from datetime import date
from typing import Any

from benchmarks.table import Table, milliseconds
from billing import usage
from easel.database import changed, platform_role, rows
from easel.embedded.stack import Stack
from tests.cast import make_customer

ENTRIES, TENANTS = 200_000, 20
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)

_ENTRIES = """
INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, owner_id, operation_id, key_id, model,
    status, generations, images, created_at)
SELECT gen_random_uuid(), (%s::uuid[])[1 + n %% %s], 'charge', 0, -1 - n %% 7, gen_random_uuid(), 'bench:' || n,
    ('00000000-0000-0000-0000-00000000000' || n %% 3)::uuid, 'model-' || n %% 4, 'completed', 1, 1,
    '2026-03-01T00:00Z'::timestamptz + n * interval '13 seconds'
FROM generate_series(0, %s) AS n
"""
_ROLL_UPS = """
INSERT INTO billing_usage (id, tenant_id, day, key_id, model, status, generations, images, charged, refunded)
SELECT gen_random_uuid(), tenant_id, (created_at AT TIME ZONE 'UTC')::date, key_id, model, status, sum(generations),
    sum(images), -sum(held_delta), 0
FROM billing_entry WHERE operation_id LIKE 'bench:%%' GROUP BY 2, 3, 4, 5, 6
"""
_BY_ENTRIES = """
SELECT (created_at AT TIME ZONE 'UTC')::date, sum(generations), sum(images), -sum(held_delta) FROM billing_entry
WHERE tenant_id = %s AND kind IN ('charge', 'refund') AND created_at >= %s AND created_at < %s::date + 1
GROUP BY 1 ORDER BY 1
"""


def measure(stack: Stack) -> Table:
    tenants = [make_customer(f"usage-{number}").id for number in range(TENANTS)]
    with platform_role():
        changed(_ENTRIES, [tenants, TENANTS, ENTRIES - 1])
        changed(_ROLL_UPS)
        rows("ANALYZE billing_entry")
        rows("ANALYZE billing_usage")
        tenant = tenants[0]
        told = usage.totals(tenant, first=FIRST, last=LAST, by=["day"])
        exact = rows(_BY_ENTRIES, [tenant, FIRST, LAST])
        assert [group["charged"] for group in told] == [int(row[3]) for row in exact]
        rolled_up = _median(lambda: usage.totals(tenant, first=FIRST, last=LAST, by=["day"]))
        from_entries = _median(lambda: rows(_BY_ENTRIES, [tenant, FIRST, LAST]))
        ((count,),) = rows("SELECT count(*) FROM billing_usage WHERE tenant_id = %s", [tenant])
    return Table(
        "Usage of a month",
        f"One tenant's month by day, out of {ENTRIES:,} entries of {TENANTS} tenants; the tenant has "
        f"{ENTRIES // TENANTS:,} of them and {count} roll-ups. Both give the same numbers. Roll-ups grow with days, "
        "keys and models, not with generations.",
        ["from the roll-ups", "from the entries", "ratio"],
        [[milliseconds(rolled_up), milliseconds(from_entries), f"{from_entries / rolled_up:.0f}"]],
    )


def _median(act: Callable[[], Any]) -> float:
    times = []
    for _ in range(30):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
