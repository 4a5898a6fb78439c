"""`make soak`, its part under load: half an hour at 80 % of the knee, with the memory of every process.

    python -m benchmarks.soak --minutes 30 [--rate 12] [--write] [--course FILE]

Ends with 1 where there was an error, or where memory was not within 5 % of its value after minute 5.
"""

import argparse
import asyncio
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks import memory
from benchmarks.crowd import Crowd, Seen, paying_customers
from benchmarks.document import section, write
from benchmarks.load import SLOTS, STEP_SECONDS, Knee, climb
from benchmarks.load import table as load_table
from benchmarks.table import Table, milliseconds
from tests.stack import set_up_django, start_stack, stop_stack

SHARE: Final = 0.8
WARM_MINUTES: Final = 5
ALLOWED: Final = 0.05
WINDOW: Final = 0.2  # of the time after that
STEP_OF_CLIMB: Final = 30.0  # seconds at each rate: a good knee, and every process has done all it does by then
TENANTS: Final = 5
POOLS: Final = {"EASEL_DATABASE_POOL_FIXED": "1"}  # as many of Postgres's processes at the end as at the beginning


@dataclass
class Scale:
    """Weighs all processes now and then, in a thread of its own."""

    every: float
    samples: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Scale":
        self._begun = time.monotonic()
        self._thread = threading.Thread(target=self._weigh, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _weigh(self) -> None:
        while not self._over.wait(self.every):
            self.samples.append((time.monotonic() - self._begun, memory.by_kind()))

    def course(self) -> str:
        """Every sample, as CSV: seconds, and bytes of each kind."""
        kinds = sorted({kind for _, sample in self.samples for kind in sample})
        lines = [[f"{at:.0f}", *(str(sample.get(kind, "")) for kind in kinds)] for at, sample in self.samples]
        return "\n".join(map(",".join, [["seconds", *kinds], *lines])) + "\n"

    def held(self, warm: float) -> "dict[str, Held]":
        """Of each kind, from `warm` seconds on. Early and late are a fifth of that time each: Go's heap goes up and
        down for minutes."""
        end = self.samples[-1][0]
        width = (end - warm) * WINDOW
        found = {}
        for kind in sorted({kind for _, sample in self.samples for kind in sample}):
            after = [(at, sample[kind]) for at, sample in self.samples if at >= warm and kind in sample]
            early = [size for at, size in after if at <= warm + width]
            late = [size for at, size in after if at >= end - width]
            if early and late:
                sizes = [size for _, size in after]
                found[kind] = Held(statistics.median(early), statistics.median(late), min(sizes), max(sizes))
        return found


@dataclass(frozen=True, slots=True)
class Held:
    """What the processes of a kind had, in bytes."""

    early: float
    late: float
    least: float
    most: float

    @property
    def growth(self) -> float:
        return self.late / self.early - 1


def grown(held: dict[str, Held]) -> list[str]:
    """The kinds whose memory left the 5 %."""
    return [kind for kind, each in held.items() if abs(each.growth) > ALLOWED]


def tables(seen: Seen, held: dict[str, Held], *, minutes: float, warm: float, knee: Knee | None) -> list[Table]:
    of_what = f"{SHARE:.0%} of the knee, {knee.rate:.1f}" if knee else "a rate that was asked for"
    wrong = [*seen.errors.most_common(), *([("not begun", seen.turned_away)] if seen.turned_away else [])]
    errors = ", ".join(f"{count} × {what}" for what, count in wrong)
    load = Table(
        "Soak",
        f"{minutes:.0f} minutes at {seen.offered:.1f} pictures a second ({of_what}) from {TENANTS} tenants, as under "
        f"Load. {f'Errors: {errors}.' if errors else 'No error.'}",
        ["pictures", "requests/s", "p50", "p95", "p99", "held", "errors"],
        [[
            str(seen.visits), f"{seen.requests / seen.seconds:.0f}",
            *(milliseconds(seen.quantile(share)) for share in (0.5, 0.95, 0.99)), str(seen.held), str(seen.wrong),
        ]],
    )  # fmt: skip
    rows = [
        [
            kind, megabytes(each.early), megabytes(each.late), f"{each.growth:+.1%}", megabytes(each.least),
            megabytes(each.most),
        ]
        for kind, each in held.items()
    ]  # fmt: skip
    left = ", ".join(grown(held))
    what = (
        f"What the processes of a kind have for themselves, after minute {warm / 60:.0f} and at the end (medians of "
        f"{(minutes * 60 - warm) * WINDOW:.0f} s), and the least and most of all that time. The limit we set ourselves "
        f"is {ALLOWED:.0%}: {f'not kept by {left}' if left else 'kept by all'}."
    )
    columns = ["process", "then", "at the end", "growth", "least", "most"]
    return [load, Table("Memory in the soak", what, columns, rows)]


def megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


def main(*, minutes: float, rate: float | None, keep: bool, course: Path | None) -> int:
    stack, knee = start_stack(), None
    try:
        set_up_django()
        from django.db import connections

        from tests.sdk.town import town

        customers = paying_customers(TENANTS)
        for connection in connections.all():  # our own, which are nobody's memory
            connection.close_pool()
        with town(stack, slots=SLOTS, step_seconds=STEP_SECONDS, extra=POOLS) as place:
            crowd = Crowd(place.base_url, customers, place.model)
            if rate is None:
                knee = asyncio.run(climb(crowd, seconds=STEP_OF_CLIMB, most=200.0))
                rate = SHARE * knee.rate
            warm = min(WARM_MINUTES, minutes / 3) * 60
            with Scale(every=max(1.0, minutes / 6)) as scale:
                seen = asyncio.run(crowd.visit_for(minutes * 60, rate=rate))
    finally:
        stop_stack(stack)
    if course:
        course.write_text(scale.course())
    held = scale.held(warm)
    found = tables(seen, held, minutes=minutes, warm=warm, knee=knee)
    if knee:
        found.insert(0, load_table(knee, tenants=TENANTS))
    print("\n\n".join(map(section, found)))
    if keep:
        write(found)
    return int(bool(seen.wrong or grown(held)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, help="pictures a second; 80 %% of the knee if left out")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    parser.add_argument("--course", type=Path, help="a CSV file for the memory of every process over time")
    asked = parser.parse_args()
    sys.exit(main(minutes=asked.minutes, rate=asked.rate, keep=asked.write, course=asked.course))
