"""More workers than the stack's one: processes of their own, each with its folder, as on a fleet's machines. They are
Easel's own workers with an engine that costs nothing, so that a test can afford several and start them again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from easel.embedded.stack import Stack
from easel.embedded.var import ROOT
from tests.generation.conftest import until

SECONDS_TO_START = 90
SECONDS_TO_STOP = 40


@dataclass
class Hand:
    """One worker of the fleet."""

    folder: Path
    environment: dict[str, str]
    command: tuple[str, ...] = ("-m", "tests.chaos.worker")
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def _ready(self) -> Path:
        return self.folder / "run/worker.ready"

    def start(self) -> None:
        self.begin()
        self.wait()

    def begin(self) -> None:
        self._ready.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, *self.command]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def wait(self) -> None:
        until(self._ready.exists, seconds=SECONDS_TO_START)

    def stop(self) -> int:
        """As an operator stops it. Returns its exit code."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.terminate()
        try:
            return process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # tells where its threads are
            process.wait()
            raise AssertionError(f"It does not stop:\n{self.log[-6000:]}") from None


@contextmanager
def fleet(stack: Stack, folder: Path, *, pool: str, size: int) -> Iterator[list[Hand]]:
    hands = []
    for number in range(size):
        own = folder / f"worker-{number}"
        own.mkdir()
        environment = stack.environment("worker") | {
            "EASEL_POOLS": pool,
            "EASEL_VAR": str(own),
            "EASEL_METRICS_PORT": "0",
            "CHAOS_SLOTS": "4",
            "CHAOS_STEP_SECONDS": "0.05",
            "PYTHONFAULTHANDLER": "1",
        }
        hands.append(Hand(own, environment))
    try:
        for hand in hands:
            hand.begin()
        for hand in hands:
            hand.wait()
        yield hands
    finally:
        for hand in hands:
            hand.stop()
