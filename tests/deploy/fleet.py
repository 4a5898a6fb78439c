"""More workers than the stack's one: processes of their own, each with its folder, as on a fleet's machines."""

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


@dataclass
class Hand:
    """One worker of the fleet."""

    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        ready = self.folder / "run/worker.ready"
        ready.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "manage.py", "worker"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        until(ready.exists, seconds=SECONDS_TO_START)

    def stop(self) -> int:
        """As an operator stops it. Returns its exit code."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.terminate()
        return process.wait(30)


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
            "EASEL_TORCH_THREADS": "1",
            "EASEL_DEVICE": "cpu",
        }
        hands.append(Hand(own, environment))
    try:
        for hand in hands:
            hand.start()
        yield hands
    finally:
        for hand in hands:
            hand.stop()
