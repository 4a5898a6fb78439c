"""The process for periodic duties."""

from easel.embedded.application import Application


class Clock(Application):
    name = "clock"

    def command(self) -> list[str]:
        return self.python("manage.py", "clock")

    def ready(self) -> bool:
        """Nobody waits for a duty: running is enough, and a crash is seen by the supervisor."""
        return True
