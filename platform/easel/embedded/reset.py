"""`make reset`: deletes everything a run made, after asking."""

import os
import shutil
import sys
from pathlib import Path

from easel.embedded.down import stop
from easel.embedded.terminal import say
from easel.embedded.trouble import Trouble
from easel.embedded.var import Var


def reset() -> int:
    var = Var.of_environment()
    if not var.exists():
        say(f"There is nothing to delete: {var.root} holds no Easel.")
        return 0
    if not _agreed(var):
        say("Nothing was deleted.")
        return 1
    stop(var)
    for path in var.root.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    say(f"Deleted everything in {var.root}.")
    return 0


def _agreed(var: Var) -> bool:
    if os.environ.get("YES") == "1":
        return True
    if not sys.stdin.isatty():
        raise Trouble(
            "`make reset` deletes all data and there is no terminal to ask on.", "If you mean it: YES=1 make reset"
        )
    megabytes = sum(path.lstat().st_size for path in _files(var.root)) // 1_000_000
    say(f"This deletes {var.root}: every tenant, key, picture and log in it, {megabytes} MB. There is no way back.")
    return input("Type yes to go on: ").strip().lower() == "yes"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
