"""Processes by identity. A process id alone may have been given to another program in the meantime."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """A process of ours that was started as the leader of a session of its own."""

    pid: int
    started: int  # in clock ticks since the boot
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        fields = _stat(pid)
        return cls(pid, int(fields[19]), _boot()) if fields and fields[0] != "Z" else None

    @classmethod
    def parse(cls, text: str) -> "Identity | None":
        words = text.split()
        return cls(int(words[0]), int(words[1]), words[2]) if len(words) == 3 else None

    def __str__(self) -> str:
        return f"{self.pid} {self.started} {self.boot}"

    def alive(self) -> bool:
        return Identity.of(self.pid) == self

    def members(self) -> list[int]:
        """Every process of its session, also when the leader is dead; none when the id has gone to another program."""
        leader = Identity.of(self.pid)
        if self.boot != _boot() or (leader is not None and leader != self):
            return []
        found = []
        for entry in PROC.iterdir():
            fields = _stat(int(entry.name)) if entry.name.isdigit() else None
            if fields and fields[0] != "Z" and int(fields[3]) == self.pid and int(fields[19]) >= self.started:
                found.append(int(entry.name))
        return found

    def send(self, number: signal.Signals) -> None:
        """To the leader alone."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """The whole session, at once."""
        for member in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)


def end(identities: dict[Identity, signal.Signals], *, seconds: float) -> None:
    """Asks each one to stop by its own signal, waits, and kills what is still there."""
    for identity, number in identities.items():
        identity.send(number)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(identity.alive() for identity in identities):
        time.sleep(0.05)
    for identity in identities:
        identity.kill()


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the state on: 0 state, 3 session, 19 start time."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()
