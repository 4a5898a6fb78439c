"""The load generator measures what is there, finds the rate that is too much, and notices memory that grows.

Short here; `make load` and `make soak` take their time.
"""

import asyncio

import pytest

from benchmarks import memory
from benchmarks.crowd import Crowd, Seen, paying_customers
from benchmarks.load import climb, keeps_up, table
from benchmarks.soak import Scale, grown, tables
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
    assert "| offered/s | pictures/s | requests/s | p50 | p95 | p99 | errors |" in table(knee, tenants=2).markdown()
    growth = scale.growth(1.0)
    assert {"web", "worker", "postgres", "valkey", "seaweedfs"} <= growth.keys()
    load, told = tables(knee.stretches[-1], growth, minutes=0.1, warm=1.0)
    assert len(told.rows) == len(growth)
    assert load.rows[0][-1] == "0"


def seen(*, seconds: float = 10.0, slow: float = 0.01, errors: int = 0, turned_away: int = 0) -> Seen:
    found = Seen(5.0, 10.0, seconds=seconds, visits=50, requests=150, latencies=[0.01] * 90 + [slow] * 10)
    found.errors["503"] = errors
    found.turned_away = turned_away
    return found


def test_a_rate_is_too_much_by_errors_by_waiting_and_by_being_slow() -> None:
    assert keeps_up(seen())
    assert keeps_up(seen(seconds=11.0))
    assert not keeps_up(seen(errors=1))
    assert not keeps_up(seen(turned_away=1))
    assert not keeps_up(seen(slow=0.9))
    assert not keeps_up(seen(seconds=12.0))


@pytest.mark.parametrize(("step", "leaks"), [(0, []), (20_000, []), (200_000, ["web"])])
def test_memory_that_grows_by_more_than_a_twentieth_is_noticed(step: int, leaks: list[str]) -> None:
    scale = Scale(every=1.0)
    scale.samples = [
        (float(at), {"web": 50_000_000 + step * at, "worker": 10_000_000 + (at % 3) * 1000}) for at in range(100)
    ]
    assert grown(scale.growth(50.0)) == leaks


def test_every_kind_of_process_is_weighed(easel_town: Town) -> None:
    weighed = memory.by_kind()
    assert {"web", "worker", "postgres", "valkey", "seaweedfs", "screening"} <= weighed.keys()
    assert all(size > 1_000_000 for size in weighed.values())
