"""`make load`: how many customers this machine serves. Several tenants ask for pictures from an engine that costs
nothing, at a rate that grows until Easel no longer keeps up: that is the knee. Bounded in time, on the loopback only.

    python -m benchmarks.load --tenants 5 --seconds 10 --most 200 [--write]
"""

import argparse
import asyncio
from dataclasses import dataclass
from typing import Final

from benchmarks.crowd import Crowd, Seen, paying_customers
from benchmarks.document import section, write
from benchmarks.table import Table, milliseconds
from easel.embedded.stack import Stack
from tests.stack import set_up_django, start_stack, stop_stack

FIRST_RATE: Final = 2.0
GROWTH: Final = 1.35
MOST_STEPS: Final = 16
KEEPS_UP: Final = 0.9  # the part of a stretch in which visitors arrive; the rest is for the last ones to leave
SLOW_SECONDS: Final = 0.5  # p95
SLOTS: Final = 16
STEP_SECONDS: Final = 0.01


@dataclass(frozen=True)
class Knee:
    rate: float  # the highest at which Easel kept up
    stretches: list[Seen]


async def climb(crowd: Crowd, *, seconds: float, most: float) -> Knee:
    """Rates up to the first one that is too much, or `most`. One that is too much may try again: the machine's other
    work has its moments, too."""
    await crowd.visit_for(min(3.0, seconds), rate=FIRST_RATE)  # what is loaded at first use
    knee, stretches, rate = 0.0, [], FIRST_RATE
    for _ in range(MOST_STEPS):
        tries = [await crowd.visit_for(seconds, rate=rate)]
        if not keeps_up(tries[0]):
            tries.append(await crowd.visit_for(seconds, rate=rate))
        stretches += tries
        if not keeps_up(tries[-1]):
            break
        knee = rate
        if rate >= most:
            break
        rate = min(most, rate * GROWTH)
    return Knee(knee, stretches)


def keeps_up(seen: Seen) -> bool:
    """No error, no picture that had to wait for somebody to judge it, quick answers, and the last visitor has left soon
    after the last arrival."""
    return (
        not seen.wrong
        and not seen.held
        and seen.quantile(0.95) < SLOW_SECONDS
        and seen.seconds <= seen.meant / KEEPS_UP
    )


def table(knee: Knee, *, tenants: int) -> Table:
    rows = [
        [
            f"{seen.offered:.1f}", f"{seen.achieved:.1f}", f"{seen.requests / seen.seconds:.0f}",
            *(milliseconds(seen.quantile(share)) for share in (0.5, 0.95, 0.99)), str(seen.held), str(seen.wrong),
        ]
        for seen in knee.stretches
    ]  # fmt: skip
    return Table(
        "Load",
        f"{tenants} tenants; each visit submits, waits, and fetches its picture, all over HTTP. The engine takes "
        f"{STEP_SECONDS * 2 * 1000:.0f} ms a picture in {SLOTS} slots and no processor time: everything else is "
        "measured. Load generator, web, worker, Postgres, Valkey and S3 share the machine. Times are of requests that "
        "were not asked to wait. Held: pictures that the screening process could not judge at once, and that came a "
        f"little later. Knee: {knee.rate:.1f} pictures a second.",
        ["offered/s", "pictures/s", "requests/s", "p50", "p95", "p99", "held", "errors"],
        rows,
    )


def measure(stack: Stack, *, tenants: int = 5, seconds: float = 10.0, most: float = 200.0) -> tuple[Knee, Table]:
    from tests.sdk.town import town

    customers = paying_customers(tenants)
    with town(stack, slots=SLOTS, step_seconds=STEP_SECONDS) as place:
        knee = asyncio.run(climb(Crowd(place.base_url, customers, place.model), seconds=seconds, most=most))
    return knee, table(knee, tenants=tenants)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each rate")
    parser.add_argument("--most", type=float, default=200.0, help="visits a second, however well it goes")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    asked = parser.parse_args()
    stack = start_stack()
    try:
        set_up_django()
        _, told = measure(stack, tenants=asked.tenants, seconds=asked.seconds, most=asked.most)
    finally:
        stop_stack(stack)
    print(section(told))
    if asked.write:
        write([told])


if __name__ == "__main__":
    main()
