"""Postgres refuses to run as root. These prefixes make a root's command run as nobody, without a system user."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from easel.embedded.trouble import Trouble

NOBODY = 65534
REMEDY = "Start Easel as an ordinary user (install util-linux if it is missing)."
NAMESPACE = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
# Where the kernel forbids that (containers, chroots). The capability lets it pass folders that only root may enter, and
# the securebit makes access(2), which Postgres asks beforehand, take notice of the capability.
SWITCHED = [
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    "--securebits=+no_setuid_fixup",
]


@cache
def prefix(program: Path) -> list[str]:
    """What to put before a command line that runs `program`; empty for an ordinary user."""
    if os.geteuid() != 0:
        return []
    for way in (NAMESPACE, SWITCHED):
        if _is_open(way, program):
            return way
    raise Trouble("Postgres does not run as root, and this system lets root run nothing as nobody.", REMEDY)


def give(folder: Path, *, to_run: Path) -> None:
    """Makes `folder` belong to whoever `prefix(to_run)` turns into, whichever way it was run before."""
    if os.geteuid() != 0 or not folder.exists():
        return
    owner = NOBODY if prefix(to_run) == SWITCHED else 0
    if folder.stat().st_uid == owner:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


def _is_open(way: list[str], program: Path) -> bool:
    """The kernel may forbid it, a folder above may belong to a third user, util-linux may be missing."""
    if not shutil.which(way[0]):
        return False
    return subprocess.run([*way, "test", "-x", str(program)], capture_output=True, check=False).returncode == 0
