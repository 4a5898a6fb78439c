"""DETACH=1: the work goes on in the background once it is done with what the person waits for."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from easel.embedded.terminal import say
from easel.embedded.trouble import Trouble, explain

DONE = b"1"


def detached(work: Callable[[Callable[[], None]], None], *, log: Path) -> int:
    """Runs `work(done)` in a process of its own session and returns when it calls `done`, or ends; the exit code."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os._exit(_background(work, writing, log))
    os.close(writing)
    with contextlib.suppress(KeyboardInterrupt), os.fdopen(reading, "rb") as pipe:
        if pipe.read(1) == DONE:
            return 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.kill(pid, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) or 1


def _background(work: Callable[[Callable[[], None]], None], writing: int, log: Path) -> int:
    os.setsid()

    def done() -> None:
        """Lets go of the terminal."""
        os.write(writing, DONE)
        os.close(writing)
        sys.stdout.flush()
        with log.open("ab") as file, open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)

    try:
        work(done)
    except Trouble as trouble:
        say(f"easel: {trouble}")
        return 1
    except OSError as error:
        say(f"easel: {explain(error)}")
        return 1
    return 0
