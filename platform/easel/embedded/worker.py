"""The process that draws. It is ready when it has loaded its model and listens for bells."""

from collections.abc import Mapping

from easel.embedded.application import Application
from easel.embedded.var import Var


class Worker(Application):
    name = "worker"
    ready_seconds = 600.0  # a large model on a slow disk
    stop_seconds = 8.0

    def __init__(self, environment: Mapping[str, str], var: Var) -> None:
        super().__init__(environment)
        self._signal = var.run / "worker.ready"

    def command(self) -> list[str]:
        return self.python("manage.py", "worker")

    def prepare(self) -> None:
        self._signal.unlink(missing_ok=True)

    def ready(self) -> bool:
        return self._signal.exists()
