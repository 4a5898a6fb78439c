"""`python -m easel.embedded restore FOLDER --escrow FILE`: a backup into a data folder that holds nothing yet."""

import subprocess
import sys

from easel.embedded.stack import Stack
from easel.embedded.terminal import say
from easel.embedded.var import ROOT, Var


def restore(words: list[str]) -> int:
    """Starts the services alone, restores into them by `manage.py restore`, which asks for the platform key, and stops
    them. Returns that command's exit code."""
    var = Var.of_environment()
    with Stack(var.root) as stack:
        stack.start()
        command = [sys.executable, str(ROOT / "manage.py"), "restore", *words]
        code = subprocess.run(command, env=stack.environment("manage"), check=False).returncode
    if code == 0:
        say("To start it: make up")
    return code
