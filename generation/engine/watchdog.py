"""Whether the engine's thread still gets on. A device that hangs raises nothing and hears no signal, and its process
looks busy from outside: the leases of its jobs would be renewed for ever."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

log = logging.getLogger(__name__)

LOOKS = 10  # within the time that is allowed


def end_at_once() -> None:
    """Nothing else ends a process whose thread is stuck in the device's driver."""
    logging.shutdown()
    os._exit(1)


class Watchdog:
    """The engine's thread tells it when it begins something and when it has nothing to do. What takes longer than
    `seconds` (0: any time) is taken for a hang: `end` is called, once, from a thread of its own."""

    def __init__(self, *, seconds: float, end: Callable[[], None] = end_at_once) -> None:
        self._seconds, self._end = seconds, end
        self._since: float | None = None  # None: nothing is under way
        self._closing = Event()
        self._thread = Thread(target=self._run, name="watchdog", daemon=True)
        if seconds:
            self._thread.start()

    def on(self) -> None:
        """It gets on: something begins."""
        self._since = time.monotonic()

    def rest(self) -> None:
        """There is nothing to do."""
        self._since = None

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """For what may take any time, such as fetching a model."""
        self.rest()
        try:
            yield
        finally:
            self.on()

    def close(self) -> None:
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(self._seconds / LOOKS):
            since = self._since
            if since is not None and time.monotonic() - since > self._seconds:
                log.critical("The device has not answered for %.0f s; this process ends.", self._seconds)
                self._end()
                return
