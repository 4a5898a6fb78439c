"""Services of a line of shell each, to see what the supervisor does with them."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from easel.embedded.service import Service
from easel.embedded.supervisor import Supervisor
from easel.embedded.var import Var


class Small(Service):
    ready_seconds = 20.0
    stop_seconds = 1.0

    def __init__(self, name: str, shell: str, folder: Path, needs: tuple[str, ...] = ()) -> None:
        self.name = name
        self.needs = needs
        self._shell = shell
        self._folder = folder

    @property
    def folder(self) -> Path:
        return self._folder

    def command(self) -> list[str]:
        return ["/bin/sh", "-c", self._shell]

    def ready(self) -> bool:
        return (self._folder / f"{self.name}.ready").exists()


class Ledger:
    """What the supervisor reported, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, subject: str, text: str) -> None:
        self.lines.append(f"{subject} {text}")

    def index(self, start: str) -> int:
        return next(number for number, line in enumerate(self.lines) if line.startswith(start))


def supervise(var: Path, *services: Service, report: Ledger) -> Supervisor:
    place = Var(var)
    place.make()
    return Supervisor(services, place, report)


def until(true: Callable[[], bool], *, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
