"""One service in the hands of the supervisor: its process, its state, and how long to wait before trying again."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from enum import Enum

from easel.embedded.leash import Leash
from easel.embedded.processes import Identity
from easel.embedded.service import Service
from easel.embedded.var import Var

LOG_BYTES = 5_000_000
STABLE_SECONDS = 60.0  # after so long in good health the next crash is the first again
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0


class State(Enum):
    DOWN = "down"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


class Child:
    def __init__(self, service: Service, var: Var, leash: Leash) -> None:
        self.service = service
        self.state = State.DOWN
        self.wanted = False
        self.extra: Mapping[str, str] = {}
        self.failures = 0  # in a row
        self.was_ready = False
        self.due = 0.0  # not to be started before
        self.since = 0.0  # of the present state
        self._var = var
        self._leash = leash
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: Identity | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        self.service.prepare()
        log_path = self._var.log(self.service.name)
        if log_path.exists() and log_path.stat().st_size > LOG_BYTES:
            log_path.replace(log_path.with_suffix(".log.1"))
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.service.command(),
                cwd=self.service.folder,
                env={**self.service.environment(), **self.extra},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for the supervisor alone
            )
        self._identity = Identity.of(self._process.pid)
        if self._identity:
            self._leash.put_on(self.service, self._identity)
        self._enter(State.STARTING)

    def exit_code(self) -> int | None:
        """Of a process that has ended and was not yet buried."""
        return self._process.poll() if self._process else None

    def bury(self) -> None:
        """After the end of the main process: ends the rest of its group and forgets it."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._identity:
            self._leash.take_off(self.service, self._identity)
        self._process = self._identity = None
        self.service.tidy()
        self._enter(State.DOWN)

    def found_ready(self) -> bool:
        if self.state is State.STARTING and self.service.ready():
            self.was_ready = True
            self._enter(State.READY)
            return True
        return False

    def late(self) -> bool:
        return self.state is State.STARTING and time.monotonic() - self.since > self.service.ready_seconds

    def ask_to_stop(self) -> None:
        self.signal(self.service.stop_signal)
        self._enter(State.STOPPING)

    def overdue(self) -> bool:
        return self.state is State.STOPPING and time.monotonic() - self.since > self.service.stop_seconds

    def signal(self, number: signal.Signals) -> None:
        """To the main process only: the others are its own to end."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def kill(self) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def count_failure(self) -> float:
        """Doubles the pause with each failure in a row; its length in seconds."""
        healthy = self.state is State.READY and time.monotonic() - self.since > STABLE_SECONDS
        self.failures = 1 if healthy else self.failures + 1
        pause = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2.0 ** (self.failures - 1))
        self.due = time.monotonic() + pause
        return pause

    def forgive(self) -> None:
        self.failures, self.due, self.was_ready = 0, 0.0, False

    def _enter(self, state: State) -> None:
        self.state, self.since = state, time.monotonic()
