"""Periodic duties. One process runs them; more may, each duty holds an advisory lock of its own while it works.

An app registers a duty in its `AppConfig.ready()`. A duty runs under the platform role in a connection that the lock
lives in; what it raises is logged and counted, and the next round tries again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Final
from zlib import crc32

import structlog
from prometheus_client import Counter, Gauge, Histogram

from easel.database import connection, platform_role, rows

log = structlog.get_logger(__name__)

LOCK_SPACE: Final = 0x0EA5E1
RUNS = Counter("easel_clock_runs_total", "Runs of periodic duties", ["duty", "outcome"])
LAST_RUN = Gauge("easel_clock_last_run_timestamp_seconds", "When a duty last ended well", ["duty"])
PERIOD = Gauge("easel_clock_period_seconds", "How often a duty is due; silent for much longer, it is overdue", ["duty"])
SECONDS = Histogram("easel_clock_duty_seconds", "How long a duty took", ["duty"])


@dataclass(slots=True)
class Duty:
    """Something to do every so many seconds. `act` returns how many things it changed."""

    name: str
    every: float
    act: Callable[[], int]
    due: float = 0.0  # by the monotonic clock


_duties: dict[str, Duty] = {}
_failed_at: dict[str, float] = {}  # by the monotonic clock


def duty(name: str, *, every: float) -> Callable[[Callable[[], int]], Callable[[], int]]:
    """Register a function as a periodic duty. Registering a name again replaces it."""

    def register(act: Callable[[], int]) -> Callable[[], int]:
        _duties[name] = Duty(name, every, act)
        PERIOD.labels(name).set(every)
        return act

    return register


def run(stopping: Event) -> None:
    """Do what is due until `stopping` is set."""
    while not stopping.is_set():
        for each in _duties.values():
            now = time.monotonic()
            if each.due <= now and not stopping.is_set():
                each.due = now + each.every
                perform(each.name)
        now = time.monotonic()
        soonest = min((each.due for each in _duties.values()), default=now + 1.0)
        stopping.wait(max(0.05, soonest - now))


def perform(name: str) -> int:
    """Do one duty now, unless another clock is at it. Returns how many things it changed."""
    act = _duties[name].act
    with platform_role():
        try:
            if not rows("SELECT pg_try_advisory_lock(%s, %s)", _lock(name))[0][0]:
                RUNS.labels(name, "elsewhere").inc()
                return 0
            with SECONDS.labels(name).time():
                count = act()
            rows("SELECT pg_advisory_unlock(%s, %s)", _lock(name))
        except Exception:  # a duty that fails must not take the others' clock with it
            RUNS.labels(name, "failed").inc()
            _failed_at[name] = time.monotonic()
            log.exception("clock.duty_failed", duty=name)
            _end_session()
            return 0
    RUNS.labels(name, "done").inc()
    LAST_RUN.labels(name).set_to_current_time()
    if count:
        log.info("clock.duty_done", duty=name, count=count)
    return count


def seconds_since_failure(name: str) -> float:
    """How long ago this process last failed at a duty; infinite where it never did."""
    return time.monotonic() - _failed_at.get(name, float("-inf"))


def _lock(name: str) -> list[int]:
    # Two-key advisory locks take signed 32-bit numbers.
    return [LOCK_SPACE, crc32(name.encode()) - 2**31]


def _end_session() -> None:
    """The lock lives as long as the session, and Django's `close()` only gives that back to the pool, lock and all."""
    django = connection()
    if django.connection is not None:
        django.connection.close()
    django.close()
