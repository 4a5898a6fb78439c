"""The process for periodic duties."""

import time

from easel.embedded.application import Application


class Clock(Application):
    name = "clock"
    _prepared = 0.0

    def command(self) -> list[str]:
        return self.python("manage.py", "clock")

    def prepare(self) -> None:
        self._prepared = time.monotonic()

    def ready(self) -> bool:
        """Nobody calls it, so there is nothing to ask: it is ready when it outlived its own start."""
        return time.monotonic() - self._prepared > 2.0
