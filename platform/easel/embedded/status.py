"""`make status`: which processes of this folder are alive."""

from easel.embedded.leash import recorded
from easel.embedded.lock import Lock
from easel.embedded.terminal import report, say
from easel.embedded.var import Var


def status() -> int:
    """0 when Easel is running, 3 when it is not (as `systemctl status` does)."""
    var = Var.of_environment()
    if Lock.is_free(var.lock):
        say("Easel is not running.")
        return 3
    say(f"Easel is running in {var.root} (supervisor: process {Lock.holder(var.lock).pid}).")
    for name, (identity, _) in recorded(var).items():
        report(name, f"process {identity.pid}" if identity.alive() else "down")
    return 0
