"""Where other threads meet the engine's: it counts places (and tells them to Prometheus), keeps newcomers until they
have a seat, wakes the loop."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition, Event

from easel import metrics
from generation.engine.device import is_device_lost
from generation.engine.guest import Guest

Errand = Callable[[], None]


class Door:
    """Thread-safe. `places` is announced; up to `most` may be inside, because places can become fewer (memory ran
    out) between the question and the admission. Whoever has no place yet waits inside."""

    def __init__(self, *, most: int) -> None:
        self.closed = Event()
        self._most = self._places = most
        self._inside = 0
        self._newcomers: deque[Guest] = deque()
        self._errands: deque[tuple[Errand, Future[None]]] = deque()
        self._changed = Condition()
        metrics.ENGINE_SLOTS.set(most)

    # --- from outside -------------------------------------------------------------------------------------

    def wait_for_place(self, timeout: float) -> int:
        """How many may come in now; 0 after `timeout` seconds, and once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self._places or self.closed.is_set(), timeout)
            return 0 if self.closed.is_set() else max(0, self._places - self._inside)

    def enter(self, guest: Guest) -> bool:
        """False where the engine has left."""
        with self._changed:
            if self.closed.is_set():
                return False
            if self._inside >= self._most:
                raise RuntimeError("admit() without a free slot: ask wait_for_slot() first")
            self._count(1)
            self._newcomers.append(guest)
            self._changed.notify_all()
        return True

    def send(self, errand: Errand) -> "Future[None]":
        """Have the engine's thread do something between two turns."""
        future: Future[None] = Future()
        with self._changed:
            if self.closed.is_set():
                future.cancel()
            else:
                self._errands.append((errand, future))
                self._changed.notify_all()
        return future

    def close(self) -> None:
        with self._changed:
            self.closed.set()
            for _, future in self._errands:
                future.cancel()
            self._changed.notify_all()

    # --- from the engine's thread -------------------------------------------------------------------------

    def wait_for_somebody(self, *, busy: bool) -> bool:
        """Sleeps while there is nothing to do; False once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: busy or self._newcomers or self._errands or self.closed.is_set())
            return not self.closed.is_set()

    def newcomers(self) -> list[Guest]:
        """Those without a seat, who came first at the front."""
        with self._changed:
            return list(self._newcomers)

    def seated(self, guest: Guest) -> None:
        with self._changed:
            self._newcomers.remove(guest)

    @property
    def is_full(self) -> bool:
        """Whether the next who comes has to wait."""
        with self._changed:
            return self._inside >= self._places

    def left(self) -> None:
        """A guest has given up its place."""
        with self._changed:
            self._count(-1)
            self._changed.notify_all()

    def announce(self, places: int) -> None:
        with self._changed:
            if places != self._places:
                self._places = min(places, self._most)
                metrics.ENGINE_SLOTS.set(self._places)
                self._changed.notify_all()

    def run_errands(self) -> None:
        while (sent := self._next_errand()) is not None:
            errand, future = sent
            try:
                errand()
            except Exception as error:
                future.set_exception(error)  # whoever sent it is told
                if is_device_lost(error):
                    raise
            else:
                future.set_result(None)

    def _count(self, change: int) -> None:
        self._inside += change
        metrics.ENGINE_BUSY_SLOTS.set(self._inside)

    def _next_errand(self) -> "tuple[Errand, Future[None]] | None":
        with self._changed:
            while self._errands:
                errand, future = self._errands.popleft()
                if future.set_running_or_notify_cancel():
                    return errand, future
        return None
