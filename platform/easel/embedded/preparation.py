"""The steps between the services and the processes that use them: schema, static files, models, demo tenant."""

import subprocess
import sys
import time

from easel.embedded.stack import Stack
from easel.embedded.terminal import report, seconds_since
from easel.embedded.trouble import Trouble
from easel.embedded.var import ROOT


def migrate(stack: Stack) -> None:
    manage(stack, "tables", "migrate", "--database", "owner", "--verbosity", "1", "--no-color")


def collect_static(stack: Stack) -> None:
    manage(stack, "static", "collectstatic", "--noinput", "--no-color")


def register_models(stack: Stack) -> None:
    manage(stack, "models", "models_sync")


def make_demo(stack: Stack) -> None:
    """Writes demo.json: the keys and logins of a tenant to try things with."""
    urls = ["--base-url", stack.base_url, "--staff-url", stack.staff_url]
    manage(stack, "demo", "demo", *urls, "--out", str(stack.var.demo))


def manage(stack: Stack, subject: str, *words: str) -> None:
    """`manage.py …` with every role's password; its output goes to log/setup.log."""
    start = time.monotonic()
    log_path = stack.var.log("setup")
    with log_path.open("ab") as log:
        log.write(f"\n--- manage.py {' '.join(words)}\n".encode())
        log.flush()
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=stack.environment("manage"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        )
    if done.returncode:
        last = log_path.read_text(errors="replace").strip().splitlines()[-1]
        raise Trouble(f"manage.py {words[0]} failed: {last[:300]}", f"(log: {stack.var.shown(log_path)})")
    report(subject, f"done after {seconds_since(start)}")
