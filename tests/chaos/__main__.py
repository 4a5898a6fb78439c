"""`python -m tests.chaos --faults 50 --jobs 500 --seed 1`: break things under load, then prove that nothing was lost.

Prints a report in Markdown and ends with 1 if anything was wrong. The seed decides the jobs, the faults, their order
and their length; what happens in between is the machine's.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.stack import set_up_django, start_stack, stop_stack

LEASE_SECONDS = 3
KNOBS = {
    "EASEL_LEASE_SECONDS": str(LEASE_SECONDS),
    "EASEL_MAX_ATTEMPTS": "10",
    "EASEL_GRACE_SECONDS": "2",
    "EASEL_SCREENING_SECONDS": "2",
    "CHAOS_SLOTS": "4",
    "CHAOS_STEP_SECONDS": "0.03",
}
CUSTOMERS = 5
SETTLE_SECONDS = 240.0
POOL = "chaos"
TRACES = {
    "jobs taken back from lost workers": "duties.lease_expired",
    "leases that a worker found gone": "lease.lost",
    "uploads and endings tried again": "production.not_now",
    "results dropped for being late": 'dropped": true',
    "bells lost": "bell.lost",
    "questions that the screening process did not answer": "screening.down",
    "generations judged again, and let go or not, without a person": "rejudging.judged",
}


@dataclass
class Report:
    faults: list[str] = field(default_factory=list)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    figures: list[tuple[str, str]] = field(default_factory=list)

    def markdown(self) -> str:
        lines = ["| what | |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in self.figures)]
        lines += ["", "| proved | wrong |", "|---|---|"]
        lines += [f"| {name} | {len(found)} |" for name, found in self.wrong.items()]
        lines += ["", "Faults: " + ", ".join(f"{n} × {kind}" for kind, n in sorted(_kinds(self.faults).items())) + "."]
        for name, found in self.wrong.items():
            lines += [f"\n{name}:", *found[:20]] if found else []
        return "\n".join(lines)


def main(*, faults: int, jobs: int, seed: int) -> Report:
    stack = start_stack()
    try:
        set_up_django()
        return storm(stack, faults=faults, jobs=jobs, seed=seed)
    finally:
        stop_stack(stack)


def storm(stack: object, *, faults: int, jobs: int, seed: int) -> Report:
    from tests.cast import make_customer
    from tests.chaos import faults as breaking
    from tests.chaos import proof
    from tests.chaos.load import Crowd
    from tests.chaos.town import Town

    chance, report = random.Random(seed), Report()
    customers = [make_customer(f"Customer {number}") for number in range(CUSTOMERS)]
    tenants = [customer.id for customer in customers]
    model = _model()
    stack.restart("screening", {"EASEL_SCREENING_IMAGE_SCORER": "tests.moderation.grays:Grays"})  # type: ignore[attr-defined]
    with _running(Town(stack, pool=POOL, knobs=KNOBS)) as town:  # type: ignore[arg-type]
        crowd = Crowd(customers, base_url=town.base_url, model=model, jobs=jobs, seed=seed)
        crowd.start()
        begun = time.monotonic()
        for number, fault in enumerate(breaking.plan(faults, chance)):
            crowd.allow(jobs * (number + 1) // faults - jobs * number // faults)
            time.sleep(chance.uniform(0.5, 2.5))
            said = fault(town, chance)
            report.faults.append(fault.__name__)
            _say(f"{number + 1}/{faults}  {fault.__name__.replace('_', ' ')}  {said}")
        town.wait()
        crowd.join()
        _reconnect()
        calm = time.monotonic()
        while proof.unfinished(tenants) and time.monotonic() - calm < SETTLE_SECONDS:
            time.sleep(0.5)
        ended = time.monotonic()
        traces = _traces(town.logs())
    report.wrong = {
        "lost": proof.lost(crowd.outcome, tenants),
        "left unfinished": proof.left_unfinished(tenants),
        "charged twice, or otherwise than stated": proof.charged_wrongly(tenants),
        "wallets, lots, holds and usage that differ from the ledger": proof.books_wrong(),
        "pictures missing or damaged": proof.pictures_wrong(tenants),
        "pictures shown that moderation holds or blocks": proof.shown_wrongly(tenants),
        "objects that no row refers to": proof.objects_left_over(tenants),
        "deleted and not erased": proof.erased_wrongly(crowd.outcome),
    }
    report.figures = [
        ("seed", str(seed)),
        ("faults · jobs · customers", f"{faults} · {jobs} · {CUSTOMERS}"),
        ("storm", f"{calm - begun:.0f} s, and {ended - calm:.0f} s until the last job ended"),
        ("endings", _counted(proof.endings(tenants))),
        ("attempts of a job", _counted(proof.attempts(tenants))),
        ("answers to customers", _counted(Counter(crowd.outcome.answers))),
        ("longest until a request was accepted", f"{crowd.outcome.slowest:.1f} s"),
        *((name, str(traces[trace])) for name, trace in TRACES.items()),
    ]
    return report


def _reconnect() -> None:
    """Postgres was restarted: of this process's own connections every one may be dead, and fails once."""
    from django.db import OperationalError, connections

    from tests.chaos import proof

    for _ in range(20):
        try:
            proof.unfinished([])
        except OperationalError:
            connections.close_all()
            time.sleep(0.2)


def _model() -> str:
    from easel.database import platform_role
    from generation.registry import register

    with platform_role():
        return register(POOL, "nowhere", pool=POOL, title="Chaos").name


@contextmanager
def _running(town: object) -> "Iterator[object]":
    try:
        town.start()  # type: ignore[attr-defined]
        yield town
    finally:
        town.stop()  # type: ignore[attr-defined]


def _traces(logs: list[Path]) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in logs:
        text = path.read_text(errors="replace")
        for trace in TRACES.values():
            found[trace] += text.count(trace)
    return found


def _counted(found: Counter[str] | Counter[int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(found.items(), key=lambda item: str(item[0])))


def _kinds(faults: list[str]) -> Counter[str]:
    return Counter(fault.replace("_", " ") for fault in faults)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    report = main(faults=asked.faults, jobs=asked.jobs, seed=asked.seed)
    print(report.markdown())
    sys.exit(any(report.wrong.values()))
