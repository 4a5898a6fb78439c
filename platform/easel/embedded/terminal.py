"""Plain lines on the terminal: what is installed, started and waited for, and how long it took."""

import sys
import time


def say(text: str) -> None:
    """One line. A terminal that has gone away must not take the services down with it."""
    try:
        print(text, flush=True)
    except (BrokenPipeError, OSError):
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115 (kept until the process ends)


def report(subject: str, text: str) -> None:
    say(f"  {subject:<9} {text}")


def seconds_since(start: float) -> str:
    return f"{time.monotonic() - start:.1f} s"
