"""Real services for the suite: started once in a temporary folder on free ports, before Django reads its settings."""

import fcntl
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from types import FrameType

import generation.engine  # noqa: F401  says how torch's threads wait, before a test imports torch
from easel.embedded.application import INFRASTRUCTURE
from easel.embedded.leash import end_leftovers
from easel.embedded.lock import Lock
from easel.embedded.stack import Stack
from easel.embedded.var import Var

PREFIX = "easel-tests-"


class Terminated(KeyboardInterrupt):
    """Somebody sent a SIGTERM. Cleans up as a Ctrl-C does, and says which of the two it was."""


def start_stack() -> Stack:
    """Databases, S3 and the screening process are up when it returns, and this process has every role's address."""
    signal.signal(signal.SIGTERM, _end)
    sweep()
    os.environ["EASEL_SCREENING_IMAGE_SCORER"] = "tests.moderation.grays:Harmless"
    stack = Stack(Path(tempfile.mkdtemp(prefix=PREFIX)), (*INFRASTRUCTURE, "screening"), durable=False, report=_quiet)
    try:
        stack.start()
    except BaseException:
        stop_stack(stack)
        raise
    os.environ.update(stack.environment("manage"))
    os.environ["EASEL_DATABASE_POOL"] = "16"  # web, worker and clock are threads of one process here
    os.environ["DJANGO_SETTINGS_MODULE"] = "easel.settings.test"
    return stack


def set_up_django() -> None:
    import django

    django.setup()

    from django.core.management import call_command

    call_command("translations", verbosity=0)
    call_command("migrate", database="owner", verbosity=0)


def stop_stack(stack: Stack) -> None:
    stack.stop()
    shutil.rmtree(stack.var.root)


def sweep() -> None:
    """Removes what runs of the suite left behind that were killed. Runs that start together sweep one after the other:
    what the first has removed, the next does not find half gone."""
    temporary = Path(tempfile.gettempdir())
    with (temporary / f"{PREFIX.rstrip('-')}.{os.getuid()}.sweep").open("a") as broom:
        fcntl.flock(broom, fcntl.LOCK_EX)
        for folder in temporary.glob(f"{PREFIX}*"):
            var = Var(folder)
            if os.access(folder, os.W_OK) and _abandoned(var.lock):
                end_leftovers(var)
                shutil.rmtree(folder)


def _abandoned(lock: Path) -> bool:
    """Left by a run that was killed. A folder of this minute may be one where another run is just starting."""
    try:
        return time.time() - lock.stat().st_mtime > 60 and Lock.is_free(lock)
    except FileNotFoundError:
        return False


def _end(number: int, frame: FrameType | None) -> None:
    raise Terminated(f"ended from outside by {signal.Signals(number).name}")


def _quiet(subject: str, text: str) -> None:
    """The suite's output belongs to the tests; each service has its log in the folder."""
