"""Periodic duties: each by one clock at a time, and none of them stops the others."""

import os
from collections.abc import Callable, Iterator
from threading import Event

import psycopg
import pytest
from prometheus_client import REGISTRY

from easel import clock
from easel.clock import duty, hasten, perform, work_off
from easel.database import on_platform, rows


@pytest.fixture(autouse=True)
def _no_other_duties(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_duties", {})


@pytest.fixture
def elsewhere() -> Iterator[psycopg.Connection]:
    """The session of another clock."""
    with psycopg.connect(os.environ["EASEL_PLATFORM_DATABASE_URL"], autocommit=True) as connection:
        yield connection


def runs(name: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("easel_clock_runs_total", {"duty": name, "outcome": outcome}) or 0.0


def can_lock(connection: psycopg.Connection, name: str) -> bool:
    found = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", clock._lock(name)).fetchone()
    assert found is not None
    return bool(found[0])


def test_a_duty_is_done_under_the_platform_role_and_counted() -> None:
    @duty("test_done", every=1.0)
    def act() -> int:
        assert on_platform()
        return 3

    assert perform("test_done") == 3
    assert runs("test_done", "done") == 1
    assert not on_platform()


def test_a_duty_holds_its_lock_while_it_works_and_no_longer(elsewhere: psycopg.Connection) -> None:
    during: list[bool] = []
    duty("test_held", every=1.0)(lambda: during.append(can_lock(elsewhere, "test_held")) or 0)
    perform("test_held")
    assert during == [False]
    assert can_lock(elsewhere, "test_held")


def test_a_duty_that_another_clock_is_at_is_skipped(elsewhere: psycopg.Connection) -> None:
    calls: list[str] = []
    duty("test_skipped", every=1.0)(lambda: calls.append("skipped") or 1)
    duty("test_other", every=1.0)(lambda: calls.append("other") or 1)
    assert can_lock(elsewhere, "test_skipped")
    assert perform("test_skipped") == 0
    assert perform("test_other") == 1
    assert calls == ["other"]
    assert runs("test_skipped", "elsewhere") == 1
    elsewhere.execute("SELECT pg_advisory_unlock_all()")
    assert perform("test_skipped") == 1


def fail() -> int:
    raise LookupError("the reason")


def break_the_statement() -> int:
    return len(rows("SELECT 1 / 0"))


def break_the_session() -> int:
    return len(rows("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.mark.parametrize("act", [fail, break_the_statement, break_the_session])
def test_a_failing_duty_is_logged_and_counted_and_gives_its_lock_back(
    act: Callable[[], int], elsewhere: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"test_{act.__name__}"
    duty(name, every=1.0)(act)
    assert perform(name) == 0
    assert (runs(name, "failed"), runs(name, "done")) == (1, 0)
    logged = [record for record in caplog.records if record.name == "easel.clock"]
    assert [(record.levelname, name in str(record.msg), bool(record.exc_info)) for record in logged] == [
        ("ERROR", True, True)
    ]
    assert can_lock(elsewhere, name)
    elsewhere.execute("SELECT pg_advisory_unlock_all()")
    duty(name, every=1.0)(lambda: 7)
    assert perform(name) == 7


def test_after_a_failing_duty_the_next_one_runs_and_a_rare_one_waits_for_its_time() -> None:
    stopping, calls = Event(), []
    duty("test_run_failing", every=0.0)(fail)

    @duty("test_run_rare", every=1000.0)
    def rare() -> int:
        calls.append("rare")
        return 0

    @duty("test_run_often", every=0.0)
    def often() -> int:
        calls.append("often")
        if calls.count("often") == 3:
            stopping.set()
        return 0

    clock.run(stopping)
    assert calls == ["rare", "often", "often", "often"]
    assert runs("test_run_failing", "failed") == 3


def test_a_rare_duty_that_failed_is_tried_again_soon_and_one_that_did_not_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock, "RETRY_SECONDS", 0.0)
    stopping, calls = Event(), list[str]()

    @duty("test_rare_failing", every=1000.0)
    def failing() -> int:
        calls.append("failing")
        if len(calls) > 3:
            stopping.set()
            return 0
        return fail()

    duty("test_rare_well", every=1000.0)(lambda: calls.append("well") or 1)
    clock.run(stopping)
    assert calls == ["failing", "well", "failing", "failing"]


def test_when_the_clock_began_is_told_of_a_duty_that_never_ended_well() -> None:
    stopping = Event()

    @duty("test_never_well", every=1000.0)
    def never() -> int:
        stopping.set()
        return fail()

    clock.run(stopping)
    assert REGISTRY.get_sample_value("easel_clock_last_run_timestamp_seconds", {"duty": "test_never_well"}) is None
    assert REGISTRY.get_sample_value("easel_clock_started_timestamp_seconds", {"duty": "test_never_well"})


def test_a_duty_that_finds_much_takes_turns_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "TURN_SECONDS", 0)
    stopping, left, calls = Event(), [3, 2, 1], list[str]()

    def do(each: int) -> int:
        calls.append(f"much {each}")
        left.remove(each)
        return 1

    @duty("test_much", every=1000.0)
    def much() -> int:
        return work_off(lambda: list(left), do)

    @duty("test_little", every=0.0)
    def little() -> int:
        calls.append("little")
        if not left:
            stopping.set()
        return 0

    clock.run(stopping)
    assert calls == ["much 3", "little", "much 2", "little", "much 1", "little"]


def test_what_cannot_be_done_now_is_left_to_the_next_round() -> None:
    tried: list[int] = []

    def do(each: int) -> int:
        tried.append(each)
        return 0

    assert work_off(lambda: [1, 2], do) == 0
    assert tried == [1, 2]


def test_a_duty_that_is_hastened_is_done_in_the_next_round_and_once() -> None:
    stopping, calls = Event(), list[str]()

    @duty("test_hastened", every=1000.0)
    def act() -> int:
        calls.append("hastened")
        if calls.count("hastened") < 3:
            hasten("test_hastened")  # while it is at work, too
        return 0

    @duty("test_others", every=0.0)
    def other() -> int:
        if calls.count("hastened") == 3:
            calls.append("other")
        if calls.count("other") == 3:
            stopping.set()
        return 0

    clock.run(stopping)
    assert calls == ["hastened", "hastened", "hastened", "other", "other", "other"]


def test_a_clock_that_is_told_to_stop_begins_no_further_duty() -> None:
    stopping, calls = Event(), []
    duty("test_stop_first", every=0.0)(lambda: stopping.set() or 0)
    duty("test_stop_second", every=0.0)(lambda: calls.append("second") or 0)
    clock.run(stopping)
    assert calls == []


def test_a_duty_that_nobody_registered_is_an_error() -> None:
    with pytest.raises(KeyError):
        perform("test_unheard_of")
