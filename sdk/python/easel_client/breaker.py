"""A circuit breaker, as Hystrix had it: when most of what was tried lately failed, nothing more is sent for a while,
and then one attempt at a time finds out whether it is over."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable


class CircuitBreaker:
    """Opens when, of at least `volume` attempts within `window` seconds, `ratio` or more failed. Stays open for
    `cool_down` seconds, then lets one attempt through: if it succeeds the circuit closes, otherwise it stays open.

    A call that meets an open circuit waits for it as far as its patience reaches, without sending anything; with
    `fail_fast` it raises CircuitOpen at once. One breaker can be shared by clients, and by threads.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.5,
        volume: int = 20,
        window: float = 10.0,
        cool_down: float = 5.0,
        fail_fast: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < ratio <= 1 or volume < 1 or window <= 0 or cool_down <= 0:
            raise ValueError("ratio is above 0 and at most 1; volume, window and cool_down are above 0.")
        self._ratio, self._volume, self._window, self._cool_down = ratio, volume, window, cool_down
        self.fail_fast = fail_fast
        self._clock = clock
        self._lock = threading.Lock()
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._shut_until: float | None = None  # while open: when the next attempt may try

    @property
    def is_open(self) -> bool:
        with self._lock:
            return self._shut_until is not None

    def ask(self) -> float:
        """0 where an attempt may be made now, or else in how many seconds one might. Whoever gets 0 from an open
        circuit is its probe; if nothing is ever heard of it, the next may go after another `cool_down`."""
        with self._lock:
            if self._shut_until is None:
                return 0.0
            now = self._clock()
            if now < self._shut_until:
                return self._shut_until - now
            self._shut_until = now + self._cool_down
            return 0.0

    def succeeded(self) -> None:
        with self._lock:
            if self._shut_until is not None:
                self._shut_until = None
                self._outcomes.clear()
            self._note(failed=False)

    def failed(self) -> None:
        with self._lock:
            now = self._note(failed=True)
            if self._shut_until is not None:
                self._shut_until = now + self._cool_down
                return
            failures = sum(failed for _, failed in self._outcomes)
            if len(self._outcomes) >= self._volume and failures >= self._ratio * len(self._outcomes):
                self._shut_until = now + self._cool_down

    def _note(self, *, failed: bool) -> float:
        now = self._clock()
        self._outcomes.append((now, failed))
        while self._outcomes[0][0] < now - self._window:
            self._outcomes.popleft()
        return now
