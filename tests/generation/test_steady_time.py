"""A lease that has run out means a lost worker only where the database was there and its clock went evenly."""

import time

import pytest

from easel import clock
from generation.steadiness import Steadiness

LEASE = 30.0


class Clocks:
    """Ours and the database's, each set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ours, self.theirs = 1_000.0, 5_000_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.ours)
        monkeypatch.setattr(clock, "_trouble_at", float("-inf"))
        self.steadiness = Steadiness()

    def after(self, seconds: float, *, jump: float = 0.0, up: float = 1e6) -> bool:
        self.ours += seconds
        self.theirs += seconds + jump
        return self.steadiness.settled(database_now=self.theirs, up_seconds=up, lease_seconds=LEASE)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_even_time_is_trusted(clocks: Clocks) -> None:
    assert [clocks.after(2), clocks.after(2), clocks.after(300)] == [True, True, True]


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 20.0])
def test_after_a_jump_of_the_databases_clock_workers_get_one_lease_length(clocks: Clocks, jump: float) -> None:
    assert clocks.after(2)
    assert not clocks.after(2, jump=jump)
    assert not clocks.after(28)
    assert clocks.after(3)


def test_a_small_correction_of_the_clock_is_no_jump(clocks: Clocks) -> None:
    assert clocks.after(2)
    assert clocks.after(2, jump=1.0)


def test_a_young_postgres_is_not_trusted(clocks: Clocks) -> None:
    assert not clocks.after(2, up=10)


def test_after_trouble_with_the_database_workers_get_one_lease_length(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_trouble_at", clocks.ours)
    assert not clocks.after(2)
    assert clocks.after(LEASE)
