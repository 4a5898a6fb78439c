"""The steps between Postgres and the processes that use it: schema, static files, models, demo tenant.

They run in one process of their own (`python -m easel.embedded.preparation …`), which alone gets the owner's password;
starting Django once instead of four times is a good part of a second start.
"""

import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from easel.embedded.stack import Stack
from easel.embedded.terminal import report, seconds_since
from easel.embedded.trouble import Trouble
from easel.embedded.var import ROOT


def prepare(stack: Stack) -> None:
    """Each step is reported on the terminal; what the commands say themselves goes to log/setup.log."""
    log_path = stack.var.log("setup")
    words = [stack.base_url, stack.staff_url, str(stack.var.demo)]
    with log_path.open("ab") as log:
        done = subprocess.run(
            [sys.executable, "-m", "easel.embedded.preparation", *words],
            cwd=ROOT,
            env=stack.environment("manage"),
            stdin=subprocess.DEVNULL,
            stderr=log,
            check=False,
        )
    where = f"(log: {stack.var.shown(log_path)})"
    if done.returncode < 0:  # its last line would be about something else
        raise Trouble(f"The set-up was killed by {signal.Signals(-done.returncode).name}.", where)
    if done.returncode:
        last = log_path.read_text(errors="replace").strip().splitlines()[-1:] or ["The set-up failed."]
        raise Trouble(last[0][:300], where)


def main(base_url: str, staff_url: str, demo: str) -> int:
    import django

    django.setup()
    return (
        step("tables", "migrate", database="owner", no_color=True)
        or step("texts", "translations")
        or step("static", "collectstatic", interactive=False, no_color=True)
        or step("models", "models_sync")
        or step("demo", "demo", base_url=base_url, staff_url=staff_url, out=Path(demo))
    )


def step(subject: str, command: str, **options: Any) -> int:
    """The exit code. A failure's last line in the log is the one for the terminal."""
    from django.core.management import call_command

    start = time.monotonic()
    print(f"\n--- manage.py {command}", file=sys.stderr)
    try:
        call_command(command, stdout=sys.stderr, stderr=sys.stderr, **options)
    except Exception as error:  # noqa: BLE001 (whatever it is, it ends the set-up and is told)
        traceback.print_exc()
        print(f"manage.py {command} failed: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        return 1
    report(subject, f"done after {seconds_since(start)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
