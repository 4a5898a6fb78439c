"""What the supervisor must know of a child: how it starts, when it is ready, how it stops."""

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path


class Service(ABC):
    name: str
    needs: tuple[str, ...] = ()  # started only when these are ready, stopped before them
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 6.0  # then its whole process group is killed
    ready_seconds: float = 60.0

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The working folder."""

    @abstractmethod
    def command(self) -> list[str]: ...

    def environment(self) -> Mapping[str, str]:
        """All of it: nothing is inherited unasked. This default is what a foreign program needs and no secret."""
        return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ} | {
            "LANG": "C.UTF-8"
        }

    def prepare(self) -> None:  # noqa: B027 (most have nothing to do)
        """Puts in place what the command reads; called before each start."""

    def tidy(self) -> None:  # noqa: B027
        """Removes what the command leaves behind outside its folder; called after each end."""

    @abstractmethod
    def ready(self) -> bool:
        """One quick probe of the real thing; False while it is not there yet."""
