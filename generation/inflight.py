"""Who draws a fingerprint right now: the first of equal requests leads, and the others follow it.

One row a fingerprint (`InFlight`) says who leads; its unique index makes leadership atomic. A follower is an ordinary
row with a hold of its own that waits outside of every flow (`draws_with` is its leader). What a leader's followers get
when it has completed is `sharing`'s; any other ending makes the oldest of them the leader.

Followers' rows are locked or left out (SKIP LOCKED), never waited for. Whom that leaves behind, the clock serves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from billing import plans
from easel.database import changed, on_commit, rows
from easel.identifiers import new_id
from generation import flows

_LEAD: Final = """
INSERT INTO generation_inflight (id, tenant_id, fingerprint, leader_id)
VALUES (%(id)s, %(tenant)s, %(fingerprint)s, %(leader)s) ON CONFLICT (tenant_id, fingerprint) DO NOTHING
"""

# Shared: the leader cannot end before whoever follows it has committed or given up.
_LEADER: Final = """
SELECT flight.leader_id, g.seed, g.fingerprint
FROM generation_inflight flight JOIN generation_generation g ON g.id = flight.leader_id
WHERE flight.tenant_id = %(tenant)s AND flight.fingerprint = %(fingerprint)s FOR SHARE OF flight
"""

_LAND: Final = "DELETE FROM generation_inflight WHERE tenant_id = %s AND leader_id = %s RETURNING fingerprint"

_HOLD: Final = """
SELECT 1 FROM generation_inflight WHERE tenant_id = %(tenant)s AND leader_id = ANY(%(leaders)s) ORDER BY id FOR UPDATE
"""

_FOLLOWERS: Final = """
SELECT id FROM generation_generation
WHERE tenant_id = %(tenant)s AND draws_with = %(leader)s AND status = 'queued' ORDER BY id
FOR NO KEY UPDATE SKIP LOCKED
"""

_FOLLOW: Final = """
UPDATE generation_generation SET draws_with = %(leader)s WHERE tenant_id = %(tenant)s AND id = ANY(%(followers)s)
"""

_STAND_ALONE: Final = """
UPDATE generation_generation g SET draws_with = NULL FROM generation_pool pool
WHERE g.tenant_id = %(tenant)s AND g.id = %(id)s AND g.status = 'queued' AND pool.id = g.pool_id
RETURNING g.pool_id, pool.name, g.work
"""


@dataclass(frozen=True, slots=True)
class Leader:
    generation_id: UUID
    seed: int
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Heir:
    """A follower that draws for itself from now on, and has to be queued as soon as the wallet is done with."""

    tenant_id: UUID
    pool_id: UUID
    pool: str
    work: float

    def enqueue(self) -> None:
        limits = plans.limits_of(self.tenant_id)
        flows.enqueue(
            self.tenant_id, self.pool_id, self.pool, work=self.work, weight=limits.queue_weight,
            cap=limits.running_jobs,
        )  # fmt: skip


_when_completed: list[Callable[[UUID, UUID, list[UUID]], None]] = []


def on_completed(act: Callable[[UUID, UUID, list[UUID]], None]) -> None:
    """Register what is done for the followers of a leader that has completed: (tenant, leader, followers), after the
    leader's transaction is committed."""
    if act not in _when_completed:
        _when_completed.append(act)


def join(tenant_id: UUID, generation_id: UUID, fingerprints: list[bytes]) -> Leader | None:
    """Follow who draws the first of these fingerprints already, or else lead: None, for all of them. Part of the
    transaction that accepts the generation."""
    wanted, *others = fingerprints
    while not _lead(tenant_id, generation_id, wanted):
        found = rows(_LEADER, {"tenant": tenant_id, "fingerprint": wanted})
        if found:  # else it has just ended, and the next one leads
            return Leader(found[0][0], found[0][1], bytes(found[0][2]))
    for each in others:
        _lead(tenant_id, generation_id, each)
    return None


def hold(tenant_id: UUID, generation_ids: Sequence[UUID]) -> None:
    """Nobody joins these until the transaction ends. For whoever ends several at once: a submission that has joined one
    of them waits for the wallet, and must not be waited for by whom has that."""
    rows(_HOLD, {"tenant": tenant_id, "leaders": list(generation_ids)})


def leave(tenant_id: UUID, generation_id: UUID) -> None:
    """Lead no more: there is nothing to draw."""
    rows(_LAND, [tenant_id, generation_id])


def ended(tenant_id: UUID, generation_id: UUID, *, complete: bool) -> Heir | None:
    """A generation has ended; was it a leader, its followers hear of it. Called before the wallet is touched, because
    rows of generations are locked before it. `complete`: every image that was asked for is there."""
    landed = rows(_LAND, [tenant_id, generation_id])
    followers = waiting(tenant_id, generation_id) if landed else []
    if not followers:
        return None
    if complete:
        for act in _when_completed:
            on_commit(partial(act, tenant_id, generation_id, followers))
        return None
    oldest, *others = followers
    heir = stand_alone(tenant_id, oldest)
    if heir is not None:
        lead_on(tenant_id, oldest, others, [bytes(fingerprint) for (fingerprint,) in landed])
    return heir


def waiting(tenant_id: UUID, leader_id: UUID) -> list[UUID]:
    """The followers of a leader that nobody else is at, locked, oldest first."""
    return [each for (each,) in rows(_FOLLOWERS, {"tenant": tenant_id, "leader": leader_id})]


def land(tenant_id: UUID, leader_id: UUID) -> list[bytes]:
    """Take the leader off what it leads; returns the fingerprints."""
    return [bytes(fingerprint) for (fingerprint,) in rows(_LAND, [tenant_id, leader_id])]


def lead_on(tenant_id: UUID, leader_id: UUID, followers: list[UUID], fingerprints: list[bytes]) -> None:
    """From now on this one leads, and those follow it."""
    for each in fingerprints:
        _lead(tenant_id, leader_id, each)
    if followers:
        changed(_FOLLOW, {"tenant": tenant_id, "leader": leader_id, "followers": followers})


def stand_alone(tenant_id: UUID, generation_id: UUID) -> Heir | None:
    """A follower that waits for nobody any more."""
    for pool_id, pool, work in rows(_STAND_ALONE, {"tenant": tenant_id, "id": generation_id}):
        return Heir(tenant_id, pool_id, pool, work)
    return None


def _lead(tenant_id: UUID, generation_id: UUID, fingerprint: bytes) -> bool:
    parameters = {"id": new_id(), "tenant": tenant_id, "fingerprint": fingerprint, "leader": generation_id}
    return changed(_LEAD, parameters) == 1
