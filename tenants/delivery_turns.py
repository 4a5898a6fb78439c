"""Whose webhooks are sent next. Tenants take turns, and none has more than a few threads at once: neither how many of
its deliveries wait, nor how long its receivers take, keeps another waiting.

The tenants that have something pending are visited in the order of their ids, each by one step in an index, going on
after the last one that was served. So a round's cost follows their number, up to a bound, and not that of deliveries.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from easel.database import rows, together

OF_ONE_TENANT: Final = 3  # at the same time, by all clocks
OF_ONE_ADDRESS: Final = 2  # of these, so that one that stalls leaves some to the tenant's others
LEASE_SECONDS: Final = 60
TENANTS_A_ROUND: Final = 2000  # visited; whoever comes after them is visited first in the next round
ENDPOINTS_A_ROUND: Final = 100  # of which deliveries are read, and a few more to complete a tenant's
DELIVERIES_A_ROUND: Final = 2000  # read, in equal parts of each of these
FEWEST: Final = 20  # read of each in any case
MOST_COUNTED: Final = 32_767  # attempts; the column holds no more, and a round must not fail for one row

FIRST: Final = UUID(int=0)
LAST: Final = UUID(int=2**128 - 1)

# The oldest of an endpoint is what comes first from there on: asked for like that, it is one step in the one index that
# has this order, whatever Postgres thinks of how many there are.
# The same holds for the tenants, where Postgres would else sort all of one tenant's, of which it expects few.
IN_ORDER: Final = "SET LOCAL enable_incremental_sort = off"
WAITING: Final = """
WITH RECURSIVE visited AS (
    SELECT %(after)s::uuid AS tenant_id, 0 AS place
    UNION ALL
    SELECT next.tenant_id, visited.place + 1 FROM visited CROSS JOIN LATERAL (
        SELECT d.tenant_id FROM tenants_webhookdelivery d
        WHERE d.state = 'pending' AND d.tenant_id > visited.tenant_id AND d.tenant_id <= %(upto)s::uuid
        ORDER BY d.tenant_id, d.endpoint_id, d.due_at LIMIT 1
    ) next WHERE visited.place < %(most)s
)
SELECT tenant_id, ARRAY(
    SELECT e.id FROM tenants_webhookendpoint e CROSS JOIN LATERAL (
        SELECT d.tenant_id, d.endpoint_id, d.due_at FROM tenants_webhookdelivery d
        WHERE d.state = 'pending' AND (d.tenant_id, d.endpoint_id) >= (e.tenant_id, e.id)
        ORDER BY d.tenant_id, d.endpoint_id, d.due_at LIMIT 1
    ) oldest WHERE e.tenant_id = visited.tenant_id AND e.disabled_at IS NULL
        AND (oldest.tenant_id, oldest.endpoint_id) = (e.tenant_id, e.id) AND oldest.due_at <= now()
) FROM visited WHERE place > 0 ORDER BY place
"""
# What other clocks have leased counts: the duty's lock lets one at a time in here.
_LEASE: Final = """
WITH due AS (
    SELECT d.id, d.due_at, d.url, coalesce(d.leased_until > now(), false) AS leased,
        turn.tenant_id, turn.endpoint_id, turn.room, turn.place
    FROM unnest(%(tenants)s::uuid[], %(endpoints)s::uuid[], %(rooms)s::int[]) WITH ORDINALITY
        AS turn (tenant_id, endpoint_id, room, place)
    CROSS JOIN LATERAL (
        SELECT id, due_at, url, leased_until FROM tenants_webhookdelivery
        WHERE state = 'pending' AND tenant_id = turn.tenant_id AND endpoint_id = turn.endpoint_id AND due_at <= now()
        ORDER BY due_at LIMIT %(few)s
    ) d
), of_address AS (
    SELECT *, row_number() OVER (PARTITION BY endpoint_id, url ORDER BY leased DESC, due_at) AS position,
        least(room, %(of_tenant)s - count(*) FILTER (WHERE leased) OVER (PARTITION BY tenant_id)) AS share FROM due
), of_tenant AS (
    SELECT *, row_number() OVER (PARTITION BY tenant_id ORDER BY position, due_at) AS nth FROM of_address
    WHERE NOT leased AND position <= %(of_address)s
), chosen AS (
    SELECT d.id, of_tenant.place FROM tenants_webhookdelivery d JOIN of_tenant USING (id)
    WHERE nth <= share AND d.state = 'pending' AND (d.leased_until IS NULL OR d.leased_until <= now())
    ORDER BY nth - share, of_tenant.place LIMIT %(free)s FOR NO KEY UPDATE OF d SKIP LOCKED
), leased AS (
    UPDATE tenants_webhookdelivery d
    SET leased_until = now() + make_interval(secs => %(lease)s), attempts = least(attempts + 1, %(most_counted)s)
    FROM chosen, tenants_webhookevent event
    WHERE d.id = chosen.id AND event.tenant_id = d.tenant_id AND event.id = d.event_id
    RETURNING chosen.place, d.id, d.tenant_id, d.endpoint_id, d.url, d.attempts, d.expires_at, event.id AS event_id,
        event.kind, event.payload, event.created_at
)
SELECT id, tenant_id, endpoint_id, url, attempts, expires_at, event_id, kind, payload, created_at
FROM leased ORDER BY place
"""

Visit = tuple[UUID, list[UUID]]  # a tenant with something pending, and its endpoints to which something is due


class Turns:
    """Remembers who was served last. Needs the platform role."""

    def __init__(self) -> None:
        self._after = FIRST

    def take(self, free: int, *, under_way: Mapping[UUID, int]) -> list[tuple[Any, ...]]:
        """Lease at most `free` deliveries, besides those of each tenant that are under way. The rows are in the order
        of turns, with the columns of `delivery.Parcel`."""
        visited = self._visit()
        offered = list(_offered(visited, under_way))
        taken = _lease(offered, free) if offered else []
        if taken:
            self._after = taken[-1][1]
        elif visited:
            cut = len(offered) >= ENDPOINTS_A_ROUND  # before the end of who was visited
            self._after = offered[-1][0] if cut else visited[-1][0]
        return taken

    def _visit(self) -> list[Visit]:
        visited = _waiting(after=self._after, upto=LAST, most=TENANTS_A_ROUND)
        left = TENANTS_A_ROUND - len(visited)
        return visited + (_waiting(after=FIRST, upto=self._after, most=left) if left and self._after != FIRST else [])


def _waiting(*, after: UUID, upto: UUID, most: int) -> list[Visit]:
    found = together([IN_ORDER, WAITING], {"after": after, "upto": upto, "most": most})
    return [(tenant_id, due) for tenant_id, due in found]


def _offered(visited: list[Visit], under_way: Mapping[UUID, int]) -> Iterator[tuple[UUID, UUID, int]]:
    """Tenant, endpoint, and how many more the tenant may have at once: whole tenants, until there are enough."""
    count = 0
    for tenant_id, due in visited:
        room = OF_ONE_TENANT - under_way.get(tenant_id, 0)
        if count >= ENDPOINTS_A_ROUND:
            return
        if room > 0:
            count += len(due)
            yield from ((tenant_id, endpoint_id, room) for endpoint_id in due)


def _lease(offered: list[tuple[UUID, UUID, int]], free: int) -> list[tuple[Any, ...]]:
    tenants, endpoints, rooms = zip(*offered, strict=True)
    parameters = {
        "tenants": list(tenants),
        "endpoints": list(endpoints),
        "rooms": list(rooms),
        "few": max(FEWEST, DELIVERIES_A_ROUND // len(offered)),
        "of_address": OF_ONE_ADDRESS,
        "of_tenant": OF_ONE_TENANT,
        "free": free,
        "lease": LEASE_SECONDS,
        "most_counted": MOST_COUNTED,
    }
    return rows(_LEASE, parameters)
