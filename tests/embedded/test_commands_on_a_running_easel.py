"""`python -m easel.embedded manage …`: an operator's commands need no password by hand."""

import os
import subprocess
import sys
from pathlib import Path

from easel.embedded.stack import Stack
from easel.embedded.var import ROOT

SHOW = "from easel.database import platform_role, rows\nwith platform_role(): print(rows('SELECT current_user')[0][0])"


def manage(var: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(ROOT / "platform"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "easel.embedded", "manage", *words],
        env={**os.environ, "PYTHONPATH": path, "EASEL_VAR": str(var)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def test_they_reach_the_folders_own_database(stack: Stack) -> None:
    done = manage(stack.var.root, "shell", "--verbosity", "0", "-c", SHOW)
    assert (done.returncode, done.stdout.strip()) == (0, "easel_platform"), done.stderr


def test_their_exit_code_is_the_commands_own(stack: Stack) -> None:
    assert manage(stack.var.root, "no_such_command").returncode == 1


def test_without_a_running_easel_one_line_says_so(tmp_path: Path) -> None:
    done = manage(tmp_path / "var", "check")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Start it first: make up" in done.stderr
