"""The load generator measures what is there, finds the rate that is too much, and notices memory that grows.

Short here; `make load` and `make soak` take their time.
"""

import asyncio
from pathlib import Path

import pytest

from benchmarks import memory
from benchmarks.crowd import Crowd, Seen, paying_customers
from benchmarks.document import stamp, write
from benchmarks.load import climb, keeps_up, table
from benchmarks.soak import Scale, grown, tables
from benchmarks.table import Table
from easel.database import platform_role
from generation.models import Generation
from tests.sdk.town import Town


def test_a_short_load_is_served_without_an_error_and_told(easel_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.load.SLOW_SECONDS", 30.0)  # how fast the machine is, is not asked here
    monkeypatch.setattr("benchmarks.load.KEEPS_UP", 0.05)
    customers = paying_customers(2)
    crowd = Crowd(easel_town.base_url, customers, easel_town.model)
    with Scale(every=0.5) as scale:
        knee = asyncio.run(climb(crowd, seconds=2.0, most=4.0))
    assert [round(seen.offered, 1) for seen in knee.stretches] == [2.0, 2.7, 3.6, 4.0]
    assert sum(seen.wrong for seen in knee.stretches) == 0, [seen.errors for seen in knee.stretches]
    assert knee.rate == 4.0
    with platform_role():
        drawn = Generation.objects.filter(tenant_id__in=[each.id for each in customers], status="completed").count()
    assert drawn >= sum(seen.visits for seen in knee.stretches) > 10  # and those of the first, uncounted stretch
    assert (
        "| offered/s | pictures/s | requests/s | p50 | p95 | p99 | held | errors |" in table(knee, tenants=2).markdown()
    )
    held = scale.held(1.0)
    assert {"web", "worker", "clock", "postgres", "broker (Valkey)", "cache (Valkey)", "seaweedfs"} <= held.keys()
    load, told = tables(knee.stretches[-1], held, minutes=0.1, warm=1.0, knee=knee)
    assert len(told.rows) == len(held)
    assert load.rows[0][-1] == "0"
    assert "(80% of the knee, 4.0)" in load.what


def seen(*, seconds: float = 10.0, slow: float = 0.01, errors: int = 0, turned_away: int = 0, held: int = 0) -> Seen:
    found = Seen(5.0, 10.0, seconds=seconds, visits=50, requests=150, latencies=[0.01] * 90 + [slow] * 10)
    found.errors["503"] = errors
    found.turned_away, found.held = turned_away, held
    return found


def test_a_rate_is_too_much_by_errors_by_waiting_and_by_being_slow() -> None:
    assert keeps_up(seen())
    assert keeps_up(seen(seconds=11.0))
    assert not keeps_up(seen(errors=1))
    assert not keeps_up(seen(turned_away=1))
    assert not keeps_up(seen(held=1))
    assert not keeps_up(seen(slow=0.9))
    assert not keeps_up(seen(seconds=12.0))


@pytest.mark.parametrize(("step", "leaks"), [(0, []), (20_000, []), (200_000, ["web"])])
def test_memory_that_grows_by_more_than_a_twentieth_is_noticed(step: int, leaks: list[str]) -> None:
    scale = Scale(every=1.0)
    scale.samples = [
        (float(at), {"web": 50_000_000 + step * at, "worker": 10_000_000 + (at % 3) * 1000}) for at in range(100)
    ]
    held = scale.held(50.0)
    assert grown(held) == leaks
    assert (held["web"].least, held["web"].most) == (50_000_000 + step * 50, 50_000_000 + step * 99)


class Script:
    """A crowd that sees what a test says, stretch by stretch."""

    def __init__(self, *slow: bool) -> None:
        self._slow = [False, *slow]  # the first stretch is not counted
        self.rates: list[float] = []

    async def visit_for(self, seconds: float, *, rate: float) -> Seen:
        self.rates.append(round(rate, 1))
        return seen(slow=0.9 if self._slow.pop(0) else 0.01)


def test_the_knee_is_the_last_rate_before_one_that_is_too_much_twice() -> None:
    crowd = Script(False, True, False, True, True)
    knee = asyncio.run(climb(crowd, seconds=10.0, most=200.0))  # type: ignore[arg-type]
    assert crowd.rates == [2.0, 2.0, 2.7, 2.7, 3.6, 3.6]
    assert (knee.rate, len(knee.stretches)) == (2.7, 5)


def test_a_table_replaces_its_own_section_and_no_other(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("# Benchmarks\n\nWritten.\n\n## Load\n\nOld.\n\n## By hand\n\nKept.\n")
    write([Table("Load", "New.", ["a"], [["1"]]), Table("Soak", "Hours.", ["b"], [["2"]])], document)
    text = document.read_text()
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Benchmarks",
        "## Load",
        "## By hand",
        "## Soak",
    ]
    assert ("Old." in text, "New." in text, "Kept." in text) == (False, True, True)
    assert text.count(f"*{stamp()}*") == 2


def test_every_kind_of_process_is_weighed(easel_town: Town) -> None:
    weighed = memory.by_kind()
    assert {kind for _, kind in memory.KINDS} <= weighed.keys()
    assert all(size > 1_000_000 for size in weighed.values())
