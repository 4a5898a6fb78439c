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

    def growth(self, warm: float) -> dict[str, tuple[float, float]]:
        """Of each kind: the median around `warm` seconds and that of the end, in bytes. A tenth of the time each."""
        end = self.samples[-1][0]
        width = (end - warm) / 10
        kinds = sorted({kind for _, sample in self.samples for kind in sample})
        found = {}
        for kind in kinds:
            early = [sample[kind] for at, sample in self.samples if warm <= at <= warm + width and kind in sample]
            late = [sample[kind] for at, sample in self.samples if at >= end - width and kind in sample]
            if early and late:
                found[kind] = (statistics.median(early), statistics.median(late))
        return found


def grown(growth: dict[str, tuple[float, float]]) -> list[str]:
    """The kinds whose memory left the 5 %."""
    return [kind for kind, (early, late) in growth.items() if abs(late - early) > ALLOWED * early]


def tables(
    seen: Seen, growth: dict[str, tuple[float, float]], *, minutes: float, warm: float, knee: Knee | None
) -> list[Table]:
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
        [kind, f"{early / 1e6:.1f} MB", f"{late / 1e6:.1f} MB", f"{(late / early - 1) * 100:+.1f} %"]
        for kind, (early, late) in growth.items()
    ]
    left = ", ".join(grown(growth))
    what = (
        f"What the processes of a kind have for themselves, after minute {warm / 60:.0f} and at the end (medians of "
        f"{(minutes * 60 - warm) / 10:.0f} s). The limit we set ourselves is {ALLOWED:.0%}: "
        f"{f'not kept by {left}' if left else 'kept by all'}."
    )
    return [load, Table("Memory in the soak", what, ["process", "then", "at the end", "growth"], rows)]


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
    growth = scale.growth(warm)
    found = tables(seen, growth, minutes=minutes, warm=warm, knee=knee)
    if knee:
        found.insert(0, load_table(knee, tenants=TENANTS))
    print("\n\n".join(map(section, found)))
    if keep:
        write(found)
    return int(bool(seen.wrong or grown(growth)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, help="pictures a second; 80 %% of the knee if left out")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    parser.add_argument("--course", type=Path, help="a CSV file for the memory of every process over time")
    asked = parser.parse_args()
    sys.exit(main(minutes=asked.minutes, rate=asked.rate, keep=asked.write, course=asked.course))
