"""Postgres refuses to run as root. These prefixes make a root's command run as nobody, without a system user."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

NOBODY = 65534
NAMESPACE = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
# Where namespaces are forbidden (containers, chroots). The capability lets it pass folders only root may enter.
SWITCHED = [
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
]


@cache
def prefix(program: Path) -> list[str]:
    """What to put before a command line that runs `program`; empty for an ordinary user."""
    if os.geteuid() != 0:
        return []
    if shutil.which("unshare") and _can_read(NAMESPACE, program):
        return NAMESPACE
    return SWITCHED


def give(folder: Path, *, to_run: Path) -> None:
    """Makes `folder` belong to whoever `prefix(to_run)` turns into, whichever way it was run before."""
    if os.geteuid() != 0 or not folder.exists():
        return
    owner = NOBODY if prefix(to_run) == SWITCHED else 0
    if folder.stat().st_uid == owner:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


def _can_read(command: list[str], program: Path) -> bool:
    """Whether the way is open: the kernel may forbid it, or a folder above may belong to a third user."""
    return subprocess.run([*command, "test", "-x", str(program)], capture_output=True, check=False).returncode == 0
