"""`make up`: from an empty folder to a picture."""

import signal
import time
from collections.abc import Callable
from types import FrameType

from easel.embedded import first_picture
from easel.embedded.addresses import addresses
from easel.embedded.application import INFRASTRUCTURE
from easel.embedded.detachment import detached
from easel.embedded.options import Options
from easel.embedded.preparation import prepare
from easel.embedded.stack import APPLICATIONS, Stack
from easel.embedded.terminal import report, say, seconds_since
from easel.embedded.var import Var


class StopRequested(BaseException):
    """Ctrl-C, `make down`, or a closed terminal."""


def up() -> int:
    options = Options.of_environment()
    var = Var.of_environment()
    var.make()
    var.check_space()
    if options.detach:
        return detached(lambda done: run(options, var, done), log=var.log("supervisor"))
    run(options, var, lambda: None)
    return 0


def run(options: Options, var: Var, done: Callable[[], None]) -> None:
    start = time.monotonic()
    with Stack(var.root, (*INFRASTRUCTURE, *APPLICATIONS), port=options.port, host=options.host) as stack:
        options.require_ports()
        stop_on_signals()
        try:
            bring_up(stack)
            say(f"\nEasel is up after {seconds_since(start)}.\n\n{addresses(stack, options)}\n")
            say("To stop it: make down" if options.detach else "To stop it: Ctrl-C here, or make down elsewhere.")
            done()
            keep_up(stack)
        except StopRequested:
            say("\nStopping.")


def bring_up(stack: Stack) -> None:
    """The set-up needs only Postgres: S3 gets ready meanwhile."""
    stack.begin(*INFRASTRUCTURE)
    stack.wait("postgres")
    prepare(stack)
    stack.begin(*APPLICATIONS)
    stack.wait(*INFRASTRUCTURE, *APPLICATIONS)
    if not stack.var.first_picture.exists():
        report("picture", "asking for the first one, through the public API")
        seconds = first_picture.draw(stack.var.demo, stack.var.first_picture)
        report("picture", f"drawn after {seconds:.1f} s")


def keep_up(stack: Stack) -> None:
    while True:
        time.sleep(0.5)
        stack.check()


def stop_on_signals() -> None:
    """The first signal stops; further ones change nothing, for the stop is bounded anyway."""

    def stop(number: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise StopRequested

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for each in signals:
        signal.signal(each, stop)
