"""Periodic duties. One process runs them; more may, each duty holds an advisory lock of its own while it works.

An app registers a duty in its `AppConfig.ready()`. A duty runs under the platform role in a connection that the lock
lives in; what it raises is logged and counted, and it is tried again within a minute. They are done one after the
other, so one that may find very much does it in turns (`work_off`).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Final, TypeVar
from zlib import crc32

import structlog
from django.db import InterfaceError, OperationalError
from prometheus_client import Counter, Gauge, Histogram

from easel.database import connection, platform_role, rows

Found = TypeVar("Found")

log = structlog.get_logger(__name__)

LOCK_SPACE: Final = 0x0EA5E1
PATIENCE_SECONDS: Final = 1.0  # a database that takes longer to answer a lock is in trouble
REST_SECONDS: Final = 0.05  # at least, between two rounds
RETRY_SECONDS: Final = 60.0  # at most, after a failure: a rare duty does not wait for its next turn
TURN_SECONDS: Final = 2.0  # how long a duty that finds more and more may keep the others waiting
RUNS = Counter("easel_clock_runs_total", "Runs of periodic duties", ["duty", "outcome"])
LAST_RUN = Gauge("easel_clock_last_run_timestamp_seconds", "When a duty last ended well", ["duty"])
STARTED = Gauge("easel_clock_started_timestamp_seconds", "Since when a clock has been doing a duty", ["duty"])
PERIOD = Gauge("easel_clock_period_seconds", "How often a duty is due; silent for much longer, it is overdue", ["duty"])
SECONDS = Histogram("easel_clock_duty_seconds", "How long a duty took", ["duty"])


@dataclass(slots=True)
class Duty:
    """Something to do every so many seconds. `act` returns how many things it changed."""

    name: str
    every: float
    act: Callable[[], int]
    due: float = 0.0  # by the monotonic clock
    hastened: bool = False


_duties: dict[str, Duty] = {}
_trouble_at = float("-inf")  # by the monotonic clock: when the database last failed us, or kept us waiting


def duty(name: str, *, every: float) -> Callable[[Callable[[], int]], Callable[[], int]]:
    """Register a function as a periodic duty. Registering a name again replaces it."""

    def register(act: Callable[[], int]) -> Callable[[], int]:
        _duties[name] = Duty(name, every, act)
        PERIOD.labels(name).set(every)
        return act

    return register


def hasten(name: str) -> None:
    """Have this process's clock do a duty in its next round, whatever its period: for a thread that knows of work."""
    _duties[name].hastened = True


class Unfinished(int):
    """How many things a duty has changed whose turn is over before it was done: it is due again at once."""


class Failed(int):
    """0, of a duty that raised: it is due again after its period, or RETRY_SECONDS where that is less."""


def work_off(find: Callable[[], Sequence[Found]], do: Callable[[Found], int]) -> int:
    """Do what is found, batch after batch, until nothing is left or the turn is over. `do` returns how many things it
    changed. A batch in which nothing changed is left to the next round: somebody else is at it, or it cannot be done.
    """
    until, count = time.monotonic() + TURN_SECONDS, 0
    while found := find():
        before = count
        for each in found:
            count += do(each)
            if time.monotonic() >= until and count > before:
                return Unfinished(count)
        if count == before:
            break
    return count


def run(stopping: Event) -> None:
    """Do what is due until `stopping` is set."""
    for name in _duties:
        STARTED.labels(name).set_to_current_time()
    while not stopping.is_set():
        for each in _duties.values():
            now = time.monotonic()
            if each.due <= now and not stopping.is_set():
                each.due = now + _pause(each, perform(each.name))
        now = time.monotonic()
        soonest = min((each.due for each in _duties.values()), default=now + 1.0)
        _rest(stopping, seconds=max(REST_SECONDS, soonest - now))


def _rest(stopping: Event, *, seconds: float) -> None:
    """So long, or until a duty is hastened, which is due then."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not stopping.wait(min(REST_SECONDS, left)):
        hastened = [each for each in _duties.values() if each.hastened]
        for each in hastened:
            each.hastened, each.due = False, 0.0
        if hastened:
            return


def _pause(of: Duty, outcome: int) -> float:
    """Seconds from the beginning of a turn to the next."""
    match outcome:
        case Unfinished():
            return 0.0
        case Failed():
            return min(of.every, RETRY_SECONDS)
        case _:
            return of.every


def perform(name: str) -> int:
    """Do one duty now, unless another clock is at it. Returns how many things it changed."""
    act = _duties[name].act
    asked = time.monotonic()
    with platform_role():
        try:
            ((locked,),) = rows("SELECT pg_try_advisory_lock(%s, %s)", _lock(name))
            if time.monotonic() - asked > PATIENCE_SECONDS:
                _note_trouble()
            if not locked:
                RUNS.labels(name, "elsewhere").inc()
                return 0
            with SECONDS.labels(name).time():
                count = act()
            rows("SELECT pg_advisory_unlock(%s, %s)", _lock(name))
        except Exception as error:  # a duty that fails must not take the others' clock with it
            if isinstance(error, OperationalError | InterfaceError):
                _note_trouble()
            RUNS.labels(name, "failed").inc()
            log.exception("clock.duty_failed", duty=name)
            _end_session()
            return Failed(0)
    RUNS.labels(name, "done").inc()
    LAST_RUN.labels(name).set_to_current_time()
    if count:
        log.info("clock.duty_done", duty=name, count=int(count))
    return count


def seconds_since_trouble() -> float:
    """How long ago the database last failed a duty of this process, or kept it waiting; infinite where it never did."""
    return time.monotonic() - _trouble_at


def _note_trouble() -> None:
    global _trouble_at  # noqa: PLW0603  one clock, one database
    _trouble_at = time.monotonic()


def _lock(name: str) -> list[int]:
    # Two-key advisory locks take signed 32-bit numbers.
    return [LOCK_SPACE, crc32(name.encode()) - 2**31]


def _end_session() -> None:
    """The lock lives as long as the session, and Django's `close()` only gives that back to the pool, lock and all."""
    django = connection()
    if django.connection is not None:
        django.connection.close()
    django.close()
