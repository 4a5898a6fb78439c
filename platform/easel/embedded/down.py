"""`make down`: asks the supervisor to stop, and makes sure that nothing stays behind."""

import signal
import time

from easel.embedded.leash import end_leftovers
from easel.embedded.lock import Lock
from easel.embedded.terminal import say, seconds_since
from easel.embedded.trouble import Trouble
from easel.embedded.var import Var

PATIENCE = 20.0  # the supervisor itself gives up on a child after 8 s, in two rounds


def down() -> int:
    var = Var.of_environment()
    stop(var)
    return 0


def stop(var: Var) -> None:
    start = time.monotonic()
    if Lock.is_free(var.lock):
        left = end_leftovers(var) if var.exists() else []
        say(f"Easel was not stopped properly; ended: {', '.join(left)}." if left else "Easel is not running.")
        return
    holder = Lock.holder(var.lock)
    say("Stopping Easel.")
    holder.send(signal.SIGTERM)
    while holder.alive() and time.monotonic() - start < PATIENCE:
        time.sleep(0.1)
    if holder.alive():
        holder.send(signal.SIGKILL)
        end_leftovers(var)
    if not Lock.is_free(var.lock):
        raise Trouble(f"Process {holder.pid} does not end.", "It may belong to another user: try as that user.")
    say(f"Stopped after {seconds_since(start)}.")
