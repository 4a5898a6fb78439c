"""Whose turn it is: the lowest ready flow of a pool, by start-time fair queueing, under the pool's lock.

Two things that are cheap in a small queue are made so in a large one, where a long snapshot (a backup, a report) keeps
the dead versions of rows from being removed:

- The pool's virtual time V changes with every claim. A row that is updated leaves a dead version each time, and every
  look-up has to step over all of them. So V is the newest row of `generation_pooltime`, found from the young end of an
  index; the clock removes the old ones.
- A flow moves on in the index of ready flows with every claim, and leaves its dead entries where the search for the
  lowest one begins. So the search begins at a *floor*, below which nothing that is ready can be any more.

The floor is exact. Whoever makes a flow ready gives it at least the V it reads, after its transaction has got its id
(`flows`). A claim notes a mark: the V that it finds under the lock, and its own transaction's id, which it got with
the lock. Whoever has read a lower V did so before that V was committed, so before this lock was taken, and its id is
lower. Once every transaction that is older than the mark has ended, all that is still to come is at or above the
mark's V, and what has come is visible; so the floor rises to that V, or to the lowest flow there is. (A snapshot's
`xmax` is no such id: it is one past the highest that has ended, and transactions above it may have read long ago.)

What a claim takes beyond its first job changes V for itself alone until it commits. It notes no mark of that V.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from easel.database import connection, rows

# NO KEY: a submission's foreign key check shares the pool's key at its commit, while it holds its flow, which the claim
# may be waiting for. A full lock would make that a deadlock.
_LOCK: Final = (
    "SET LOCAL synchronous_commit = off; SELECT id FROM generation_pool WHERE name = %(pool)s FOR NO KEY UPDATE;"
)

_LOWEST: Final = """
SELECT pool.id, flow.tenant_id, flow.vtime, coalesce(now.vtime, 0), now.floor, now.mark_vtime, now.mark_xid,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_current_xact_id()::text::bigint
FROM generation_pool pool
LEFT JOIN LATERAL (
    SELECT vtime, floor, mark_vtime, mark_xid FROM generation_pooltime
    WHERE pool_id = pool.id ORDER BY id DESC LIMIT 1
) now ON true
LEFT JOIN LATERAL (
    SELECT tenant_id, vtime FROM generation_flow
    WHERE pool_id = pool.id AND ready AND vtime >= coalesce(now.floor, '-infinity')
        AND NOT tenant_id = ANY(%(passed)s::uuid[])
    ORDER BY vtime, id LIMIT 1
) flow ON true
WHERE pool.name = %(pool)s
"""

# A flow pays the work of what was claimed, less what it is owed for work that was estimated too high.
_TAKE: Final = """
UPDATE generation_flow SET queued = queued - 1, running = running + 1,
    waiting_work = greatest(0, waiting_work - %(work)s),
    vtime = vtime + greatest(0, %(work)s + owed) / weight, owed = least(0, %(work)s + owed)
WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s;
INSERT INTO generation_pooltime (pool_id, vtime, floor, mark_vtime, mark_xid)
VALUES (%(pool)s, %(vtime)s, %(floor)s, %(mark_vtime)s, %(mark_xid)s)
"""


class UnknownPool(LookupError):
    """There is no pool of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A flow whose job is to be claimed, and the pool's time once it is."""

    pool_id: UUID
    tenant_id: UUID
    vtime: float
    floor: float
    mark_vtime: float
    mark_xid: int


def lock(pool: str) -> Turn | None:
    """Lock the pool until the transaction ends and find whose turn it is. None: nothing is ready. Raises UnknownPool.
    The transaction has changed nothing before: it gets its id here."""
    return _read(_LOCK + _LOWEST, pool)


def look_again(pool: str, passed: Collection[UUID]) -> Turn | None:
    """The same, where the lock is held already, leaving out the tenants in `passed`."""
    return _read(_LOWEST, pool, passed, first=False)


def take(turn: Turn, *, work: float) -> None:
    """One of its jobs was claimed."""
    parameters = {
        "work": work, "tenant": turn.tenant_id, "pool": turn.pool_id, "vtime": turn.vtime, "floor": turn.floor,
        "mark_vtime": turn.mark_vtime, "mark_xid": turn.mark_xid,
    }  # fmt: skip
    rows(_TAKE, parameters)


def _read(sql: str, pool: str, passed: Collection[UUID] = (), *, first: bool = True) -> Turn | None:
    with connection().cursor() as cursor:
        cursor.execute(sql, {"pool": pool, "passed": list(passed)})
        while cursor.nextset():
            pass
        found = cursor.fetchone()
    if found is None:
        raise UnknownPool(pool)
    pool_id, tenant_id, lowest, now, floor, mark_vtime, mark_xid, oldest, own = found
    if tenant_id is None:
        return None
    if mark_xid is None:  # the pool's first claim
        floor, mark_vtime, mark_xid = float("-inf"), now, own
    elif mark_xid > own:  # of another cluster: the database was restored
        mark_vtime, mark_xid = now, own
    elif first and oldest >= mark_xid:
        floor, mark_vtime, mark_xid = max(floor, min(mark_vtime, lowest)), now, own
    return Turn(
        pool_id=pool_id, tenant_id=tenant_id, vtime=max(now, lowest), floor=floor, mark_vtime=mark_vtime,
        mark_xid=mark_xid,
    )  # fmt: skip
