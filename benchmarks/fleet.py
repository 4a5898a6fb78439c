"""`python -m benchmarks.fleet`: a fleet on paper. A discrete-event simulation of the fair queue, from 1 to 1,000 GPUs.

It plays the rules of `generation/turns.py` and `flows.py` (start-time fair queueing under one lock for each pool, a cap
of running jobs for each tenant, payment at the claim) with measured unit costs in place of the work itself. It says
which part is busy first, and whether the shares stay fair when a thousand workers claim. It needs no services.
"""

import argparse
import heapq
import itertools
import random
import statistics
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from benchmarks.table import Table

WEIGHTS: Final = (1.0, 2.0, 4.0)  # of the tenants that always have work
WARM_UP: Final = 0.25  # of the time, not counted


@dataclass(frozen=True)
class Costs:
    """Seconds. Where each comes from is said in docs/scaling.md; `image` is an assumption, for lack of a GPU."""

    claim: float = 1 / 100  # the pool's lock, for a claim with its ending, as eight claimers reached it together
    screen: float = 0.072  # of one core, an image
    write: float = 0.0057  # of one connection, accepting and ending a job, as rows are written
    image: float = 1.0  # of a GPU, at full slots


@dataclass(frozen=True)
class Fleet:
    """`gpus` of `slots` images each; pools of equal size; screening processes of one core; Postgres' cores."""

    gpus: int
    slots: int = 8
    pools: int = 1
    screens: int = 1
    cores: int = 2
    tenants: int = 1000
    load: float = 0.27  # what the small tenants ask for together, of what the GPUs can draw
    seconds: float = 120.0
    costs: Costs = field(default_factory=Costs)


class Line:
    """Servers that take one thing after the other."""

    def __init__(self, world: "World", servers: int, seconds: float) -> None:
        self._world, self._seconds, self._free = world, seconds, servers
        self._servers, self._waiting = servers, deque[tuple[float, Callable[[], None]]]()
        self.busy, self.waits = 0.0, list[float]()

    def use(self, then: Callable[[], None]) -> None:
        if self._free:
            self._free -= 1
            self._serve(self._world.now, then)
        else:
            self._waiting.append((self._world.now, then))

    def _serve(self, came: float, then: Callable[[], None]) -> None:
        if self._world.counting:
            self.waits.append(self._world.now - came)
            self.busy += self._seconds
        self._world.after(self._seconds, lambda: self._done(then))

    def _done(self, then: Callable[[], None]) -> None:
        if self._waiting:
            self._serve(*self._waiting.popleft())
        else:
            self._free += 1
        then()

    def utilization(self, seconds: float) -> float:
        return self.busy / (self._servers * seconds)


@dataclass
class Flow:
    """One tenant's waiting work in a pool."""

    weight: float
    cap: int
    endless: bool = False
    vtime: float = 0.0
    running: int = 0
    served: int = 0
    queued: deque[float] = field(default_factory=deque)  # when each was accepted

    @property
    def ready(self) -> bool:
        return (self.endless or bool(self.queued)) and self.running < self.cap


class Pool:
    """Its lock, its time, and which flow is next."""

    def __init__(self, world: "World", claim_seconds: float) -> None:
        self.lock = Line(world, 1, claim_seconds)
        self.idle, self.vtime = 0, 0.0  # slots that found nothing
        self._order: list[tuple[float, int, Flow]] = []
        self._ids = itertools.count()

    def offer(self, flow: Flow, *, was_ready: bool) -> None:
        """A flow that becomes ready starts at the pool's time at the least."""
        if flow.ready and not was_ready:
            flow.vtime = max(flow.vtime, self.vtime)
            heapq.heappush(self._order, (flow.vtime, next(self._ids), flow))

    def take(self) -> tuple[Flow, float | None] | None:
        """The lowest ready flow pays for one image. Its oldest job, and when it came."""
        while self._order:
            vtime, _, flow = heapq.heappop(self._order)
            if not flow.ready or vtime != flow.vtime:
                continue
            self.vtime = max(self.vtime, vtime)
            came = None if flow.endless else flow.queued.popleft()
            flow.running += 1
            flow.vtime += 1.0 / flow.weight
            if flow.ready:
                heapq.heappush(self._order, (flow.vtime, next(self._ids), flow))
            return flow, came
        return None


class World:
    """Time, and what happens in it."""

    def __init__(self, fleet: Fleet, seed: int = 1) -> None:
        self.now, self.fleet, self._chance = 0.0, fleet, random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ids = itertools.count()
        self.pools = [Pool(self, fleet.costs.claim) for _ in range(fleet.pools)]
        self.screening = Line(self, fleet.screens, fleet.costs.screen)
        self.postgres = Line(self, fleet.cores, fleet.costs.write)
        self.drawing, self.drawn, self.waits = 0.0, 0, list[float]()
        everything = fleet.gpus * fleet.slots
        self.greedy = [[Flow(weight, everything, endless=True) for weight in WEIGHTS] for _ in self.pools]
        self._small = [[Flow(1.0, 4) for _ in range(fleet.tenants // fleet.pools)] for _ in self.pools]

    @property
    def counting(self) -> bool:
        return self.now >= self.fleet.seconds * WARM_UP

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._ids), act))

    def run(self) -> None:
        for number, pool in enumerate(self.pools):
            for flow in self.greedy[number]:
                pool.offer(flow, was_ready=False)
            self._arrive(number)
            for _ in range(self.fleet.gpus * self.fleet.slots // len(self.pools)):
                self._ask(pool)
        while self._events and self._events[0][0] <= self.fleet.seconds:
            self.now, _, act = heapq.heappop(self._events)
            act()

    def _arrive(self, number: int) -> None:
        """A small tenant asks for one image; a few of them ask for much more than the others."""
        capacity = self.fleet.gpus / self.fleet.costs.image / len(self.pools)
        self.after(self._chance.expovariate(self.fleet.load * capacity), lambda: self._arrive(number))
        flows = self._small[number]
        flow = flows[min(len(flows) - 1, int(self._chance.paretovariate(0.7)) - 1)]
        came = self.now

        def accepted() -> None:
            was_ready = flow.ready
            flow.queued.append(came)
            pool = self.pools[number]
            pool.offer(flow, was_ready=was_ready)
            if pool.idle:
                pool.idle -= 1
                self._ask(pool)

        self.postgres.use(accepted)

    def _ask(self, pool: Pool) -> None:
        def locked() -> None:
            found = pool.take()
            if found is None:
                pool.idle += 1
                return
            flow, came = found
            if came is not None and self.counting:
                self.waits.append(self.now - came)
            # A slot gets its share of the GPU: at full slots an image takes as many times longer.
            seconds = self.fleet.costs.image * self.fleet.slots * self._chance.uniform(0.7, 1.3)
            self.after(seconds, lambda: self._drew(pool, flow, seconds))

        pool.lock.use(locked)

    def _drew(self, pool: Pool, flow: Flow, seconds: float) -> None:
        """The slot is free at once; the job's ending waits for its screening."""
        if self.counting:
            self.drawing += seconds
        self._ask(pool)

        def ended() -> None:
            was_ready = flow.ready
            flow.running -= 1
            if self.counting:
                flow.served += 1
                self.drawn += 1
            pool.offer(flow, was_ready=was_ready)

        self.screening.use(lambda: self.postgres.use(ended))


def played(fleet: Fleet, seed: int = 1) -> World:
    world = World(fleet, seed)
    world.run()
    return world


def unfairness(world: World) -> float:
    """How far the greedy tenants' shares are from their weights, at most, in any pool."""
    worst = 0.0
    for flows in world.greedy:
        total, weights = sum(flow.served for flow in flows), sum(WEIGHTS)
        worst = max([worst, *(abs(f.served / max(1, total) / (f.weight / weights) - 1) for f in flows)])
    return worst


STEPS: Final = (
    ("as `make up`: 1 screening, 1 pool, Postgres on 2 cores", Fleet(1)),
    ("the same", Fleet(10)),
    ("the same", Fleet(30)),
    ("3 screening", Fleet(30, screens=3)),
    ("10 screening", Fleet(120, screens=10)),
    ("10 screening, 2 pools", Fleet(120, screens=10, pools=2)),
    ("25 screening, 4 pools", Fleet(300, screens=25, pools=4)),
    ("25 screening, 4 pools, 4 cores", Fleet(300, screens=25, pools=4, cores=4)),
    ("80 screening, 12 pools, 12 cores", Fleet(1000, screens=80, pools=12, cores=12)),
    ("the same, 100,000 tenants", Fleet(1000, screens=80, pools=12, cores=12, tenants=100_000)),
    ("the same, one pool with 1,836 claims/s", Fleet(1000, screens=80, cores=12, costs=Costs(claim=1 / 1836))),
)


def row(name: str, fleet: Fleet) -> list[str]:
    world = played(fleet)
    counted = fleet.seconds * (1 - WARM_UP)
    busy = (
        world.drawing / (fleet.gpus * fleet.slots * counted),
        max(pool.lock.utilization(counted) for pool in world.pools),
        world.screening.utilization(counted),
        world.postgres.utilization(counted),
    )
    waits = sorted(world.waits) or [0.0]
    return [
        f"{fleet.gpus:,}", name, f"{world.drawn / counted:.1f}", *(f"{min(1, each):.0%}" for each in busy),
        f"{statistics.median(waits):.2f} s", f"{waits[int(len(waits) * 0.99)]:.2f} s", f"{unfairness(world):.1%}",
    ]  # fmt: skip


def table(steps: Sequence[tuple[str, Fleet]], seconds: float) -> Table:
    rows = []
    for name, fleet in steps:
        rows.append(row(name, replace(fleet, seconds=seconds)))
        print(f"{fleet.gpus:,} GPUs, {name}: done", file=sys.stderr)
    return Table(
        "A fleet on paper",
        "Discrete-event simulation. Three tenants of weight 1 : 2 : 4 always have work in each pool; many small ones "
        "ask for 27 % of what the GPUs can draw. Busy: share of the time. Waits are the small tenants'.",
        ["GPUs", "with", "images/s", "GPUs busy", "pool's lock", "screening", "Postgres", "wait p50", "wait p99",
         "off the weights"],
        rows,
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="simulated")
    parser.add_argument("--step", type=int, help="only this one, from 0")
    given = parser.parse_args()
    chosen = STEPS if given.step is None else STEPS[given.step : given.step + 1]
    print(table(chosen, given.seconds).markdown())
