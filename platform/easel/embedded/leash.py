"""The supervisor's end of the guardian's pipe, and the record on disk for the case that both are killed."""

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

from easel.embedded import guardian
from easel.embedded.processes import Identity, end
from easel.embedded.service import Service
from easel.embedded.var import Var


class Leash:
    def __init__(self, var: Var) -> None:
        self._var = var
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", str(Path(guardian.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # whoever reads our output must not wait for the guardian
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def put_on(self, service: Service, identity: Identity) -> None:
        _record(self._var, service.name).write_text(f"{identity} {int(service.stop_signal)}\n")
        self._tell(f"+ {identity} {int(service.stop_signal)}")

    def take_off(self, service: Service, identity: Identity) -> None:
        self._tell(f"- {identity} 0")
        _record(self._var, service.name).unlink(missing_ok=True)

    def drop(self) -> None:
        """After the last child has ended."""
        self._tell("bye")
        self._guardian.communicate()

    def _tell(self, line: str) -> None:
        # A guardian that was killed is no reason to stop working: the records are still there.
        with contextlib.suppress(BrokenPipeError, ValueError):
            if self._guardian.stdin:
                self._guardian.stdin.write(f"{line}\n")
                self._guardian.stdin.flush()


def _record(var: Var, name: str) -> Path:
    return var.run / f"{name}.pid"


def recorded(var: Var) -> dict[str, tuple[Identity, signal.Signals]]:
    """Children that were not seen to end."""
    found = {}
    for path in sorted(var.run.glob("*.pid")):
        *words, number = path.read_text().split() or [""]
        identity = Identity.parse(" ".join(words))
        if identity is not None:
            found[path.stem] = (identity, signal.Signals(int(number)))
    return found


def end_leftovers(var: Var, *, seconds: float = 8.0) -> list[str]:
    """Ends what an unclean stop left running; the names of all services that were not stopped properly."""
    left = recorded(var)
    end(dict(left.values()), seconds=seconds)
    for path in var.run.glob("*.pid"):
        path.unlink(missing_ok=True)
    return list(left)
