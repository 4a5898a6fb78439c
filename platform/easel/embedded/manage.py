"""`python -m easel.embedded manage …`: a command of manage.py on this folder's running Easel, with every password."""

import os
import sys
from typing import NoReturn

from easel.embedded.credentials import Credentials
from easel.embedded.environment import environment_of
from easel.embedded.lock import Lock
from easel.embedded.ports import Ports
from easel.embedded.trouble import Trouble
from easel.embedded.var import ROOT, Var


def manage(words: list[str]) -> NoReturn:
    """Becomes that command, so that its exit code and its terminal are ours."""
    var = Var.of_environment()
    if Lock.is_free(var.lock):
        raise Trouble(f"Easel is not running in {var.root}.", "Start it first: make up")
    environment = environment_of(
        "manage",
        var=var,
        credentials=Credentials.of(var.config / "credentials.json"),
        ports=Ports(var.config / "ports.json"),
    )
    command = [sys.executable, str(ROOT / "manage.py"), *words]
    os.execve(command[0], command, environment)  # noqa: S606
