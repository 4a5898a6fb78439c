"""A circuit breaker: shared by processes, one probe at a time, and of use without Valkey too."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from redis import Redis

from easel import breaker as breakers
from easel.breaker import Breaker, BreakerOpen, Rules
from easel.breaker_state import PROBES, LocalState, LocalStates, SharedState, Verdict
from easel.embedded.stack import Stack
from easel.valkey import Patience, client

QUICK = Rules(
    failures=3, slow_calls=2, slow_seconds=5.0, open_seconds=0.15, longest_open_seconds=0.5, probe_seconds=0.3
)


AT_ONCE = Rules(failures=1, open_seconds=0.0, probe_seconds=0.0)  # nobody waits: not for a probe to go out, nor for one


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(f"test:{uuid4().hex}", rules=QUICK)


@pytest.fixture(params=["shared", "local"])
def opened(request: pytest.FixtureRequest) -> SharedState | LocalState:
    """The state of a breaker that has just opened, in each of the places where one is kept."""
    shared = SharedState(f"test:{uuid4().hex}", "test", AT_ONCE, listed=False)
    state: SharedState | LocalState = shared if request.param == "shared" else LocalState(AT_ONCE)
    assert state.report("before", Verdict.FAILED) == "open"
    return state


@pytest.fixture
def alone(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The cache is away; it is back when the test has ended."""
    stack.halt("cache")
    monkeypatch.setattr(breakers, "_patience", Patience())
    yield
    stack.start("cache")
    client().close()


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(RuntimeError), breaker.guard():
            raise RuntimeError("ill")


def succeed(breaker: Breaker) -> None:
    with breaker.guard():
        pass


def refused(breaker: Breaker) -> BreakerOpen:
    with pytest.raises(BreakerOpen) as raised, breaker.guard():
        pytest.fail("it was called all the same")
    return raised.value


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"name": "test", **labels}) or 0.0


def test_it_opens_after_so_many_failures_in_a_row_and_says_when_to_come_back(breaker: Breaker) -> None:
    opened = sample("easel_breaker_turns_total", to="open")
    fail(breaker, 2)
    assert not breaker.state().open
    fail(breaker)
    assert refused(breaker).retry_after == 1
    assert breaker.state().open
    assert sample("easel_breaker_turns_total", to="open") == opened + 1
    breakers.count_open_breakers()
    assert sample("easel_breaker_open") == 1


def test_a_success_in_between_begins_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    succeed(breaker)
    fail(breaker, 2)
    assert not breaker.state().open


def test_slow_calls_open_it_too(breaker: Breaker) -> None:
    for _ in range(2):
        breaker.report(breaker.admit().token, ok=True, seconds=5.0)
    assert breaker.state().open


def test_what_is_not_the_services_fault_is_not_counted() -> None:
    picky = Breaker(f"test:{uuid4().hex}", rules=QUICK, counts=lambda error: not isinstance(error, KeyError))
    for _ in range(5):
        with pytest.raises(KeyError), picky.guard():
            raise KeyError("no such object")
    assert not picky.state().open


def test_a_probe_closes_it_when_the_service_is_well_again(breaker: Breaker) -> None:
    fail(breaker, 3)
    time.sleep(0.2)
    assert breaker.state().due
    succeed(breaker)
    assert not breaker.state().open
    assert breaker.name not in [each.name for each in breakers.standing()]


def test_the_clock_says_which_kinds_are_open() -> None:
    one = Breaker(f"counted:{uuid4().hex}", label="counted-one", rules=QUICK)
    fail(one, 3)
    breakers.count_open_breakers()
    assert REGISTRY.get_sample_value("easel_breaker_open", {"name": "counted-one"}) == 1
    one.reset()
    breakers.count_open_breakers()
    assert REGISTRY.get_sample_value("easel_breaker_open", {"name": "counted-one"}) == 0


def test_a_failed_probe_opens_it_for_twice_as_long(breaker: Breaker) -> None:
    fail(breaker, 3)
    time.sleep(0.2)
    fail(breaker)
    assert 0.15 < breaker.state().wait <= 0.3
    assert breaker.name in [each.name for each in breakers.standing()]


def test_only_one_probe_is_out_until_it_is_reported_or_given_up(breaker: Breaker) -> None:
    fail(breaker, 3)
    time.sleep(0.2)
    probe = breaker.admit("first")
    assert probe.probe
    refused(breaker)
    assert not breaker.admit("first").probe  # the same one asks again: let through, and no second probe
    time.sleep(0.35)
    assert breaker.admit("second").probe
    breaker.report("first", ok=False)  # too late: another is asking
    assert breaker.state().probe == "second"
    breaker.report("second", ok=True)
    assert not breaker.state().open


def test_a_success_that_took_longer_than_was_waited_for_closes_it_all_the_same(
    opened: SharedState | LocalState,
) -> None:
    for token in ("slow", "next", "last"):
        assert opened.admit(token).probe
    assert opened.report("never", Verdict.OK) == ""
    assert opened.report("slow", Verdict.SLOW) == ""
    assert opened.report("slow", Verdict.FAILED) == ""
    assert opened.report("slow", Verdict.OK) == "closed"
    assert not opened.look().open


def test_a_success_of_what_was_let_through_before_it_opened_again_changes_nothing(
    opened: SharedState | LocalState,
) -> None:
    opened.admit("slow")
    opened.admit("next")
    assert opened.report("next", Verdict.FAILED) == "open_again"
    assert opened.report("slow", Verdict.OK) == ""
    assert opened.look().open


def test_so_many_probes_are_remembered_and_no_more(opened: SharedState | LocalState) -> None:
    for number in range(PROBES + 1):
        opened.admit(str(number))
    assert opened.report("0", Verdict.OK) == ""
    assert opened.report("1", Verdict.OK) == "closed"


def test_any_number_of_open_breakers_is_looked_at_by_two_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, asked, ask = f"crowd-{uuid4().hex}", list[str](), client().execute_command
    for number in range(20):
        Breaker(f"{kind}:{number}", rules=AT_ONCE).report("", ok=False)
    breakers.standing(f"{kind}:")  # the server knows the script

    def counted(*given: Any, **options: Any) -> Any:
        asked.append(str(given[0]))
        return ask(*given, **options)

    monkeypatch.setattr(client(), "execute_command", counted)
    assert len(breakers.standing(f"{kind}:")) == 20
    assert asked == ["HGETALL", "EVALSHA"]
    asked.clear()
    assert breakers.standing(f"no-{kind}:") == []
    assert asked == ["HGETALL"]
    for number in range(20):
        Breaker(f"{kind}:{number}").reset()


def test_one_that_is_not_listed_opens_and_is_told_to_nobody() -> None:
    name = f"unlisted:{uuid4().hex}"
    quiet = Breaker(name, rules=QUICK, listed=False)
    fail(quiet, 3)
    refused(quiet)
    assert name not in [each.name for each in breakers.standing()]
    breakers.count_open_breakers()
    assert REGISTRY.get_sample_value("easel_breaker_open", {"name": "unlisted"}) is None


def test_a_late_result_of_a_call_from_before_the_opening_changes_nothing(breaker: Breaker) -> None:
    early = breaker.admit()
    fail(breaker, 3)
    breaker.report(early.token, ok=True)
    assert breaker.state().open


def test_two_breakers_of_one_name_are_one(breaker: Breaker) -> None:
    fail(breaker, 3)
    refused(Breaker(breaker.name, rules=QUICK))


def test_without_valkey_it_counts_for_this_process_alone_and_says_so(breaker: Breaker, alone: None) -> None:
    before = sample("easel_breaker_unshared_total")
    fail(breaker, 3)
    refused(breaker)
    assert sample("easel_breaker_unshared_total") > before
    time.sleep(0.2)
    probe = breaker.admit()
    assert probe.probe
    refused(breaker)
    breaker.report(probe.token, ok=False)
    assert breaker.state().wait > 0.15
    time.sleep(0.35)
    succeed(breaker)
    assert not breaker.state().open


def test_without_valkey_breakers_of_one_name_count_together(breaker: Breaker, alone: None) -> None:
    for _ in range(3):
        fail(Breaker(breaker.name, rules=QUICK))
    refused(Breaker(breaker.name, rules=QUICK))
    assert breakers.open_here()[breaker.name].open
    Breaker(breaker.name, rules=QUICK).reset()
    assert breaker.name not in breakers.open_here()


def test_what_one_process_counts_is_bounded() -> None:
    states = LocalStates(most=2)
    first, second = states.of("first", QUICK), states.of("second", QUICK)
    assert states.of("first", QUICK) is first
    states.of("third", QUICK)
    assert states.of("first", QUICK) is first
    assert states.of("second", QUICK) is not second


def test_four_processes_open_one_breaker_send_one_probe_at_a_time_and_close_it() -> None:
    name = f"four:{uuid4().hex}"
    redis: Redis[bytes] = client()
    command = [sys.executable, "-m", "tests.web.breaking", name, "6"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    breaker = Breaker(name)
    deadline = time.monotonic() + 30
    while not breaker.state().open:
        assert time.monotonic() < deadline, "it did not open"
        time.sleep(0.01)
    time.sleep(0.3)  # what was under way when it opened has ended
    redis.delete(f"{name}:together")
    time.sleep(2.0)
    while_open = [int(each) for each in redis.lrange(f"{name}:together", 0, -1)]
    redis.set(f"{name}:well", 1)
    told = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    total = {key: sum(each[key] for each in told) for key in told[0]}
    assert while_open
    assert set(while_open) == {1}, "probes went out together"
    assert len(while_open) <= 2.0 / 0.4 + 1
    assert total["open"] == 1
    assert total["closed"] == 1
    assert total["probes"] == total["open_again"] + total["closed"]
    assert total["failed"] < 5 + 4 + total["probes"]
    assert total["ok"] > 10
    assert not breaker.state().open
