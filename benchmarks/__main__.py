"""`make bench`: run every benchmark on a stack of its own and write its section of docs/benchmarks.md.

`python -m benchmarks NAME …` runs some of them and prints their tables; `--write` before the names writes them, too.
"""

import importlib
import sys

from benchmarks.document import DOCUMENT, section, write
from tests.stack import set_up_django, start_stack, stop_stack

NAMES = [
    "pick_up",
    "status_read",
    "token",
    "submit",
    "streams",
    "engine",
    "engine_peers",
    "whole",
    "adaptive",
    "wallet",
    "usage",
    "sealing",
    "claims",
    "cache",
    "routing",
    "routed",
    "moderated",
    "client",
]


def main(*words: str) -> None:
    names = [word for word in words if word != "--write"]
    stack = start_stack()
    try:
        set_up_django()
        stack.start("web")
        for name in names or NAMES:
            print(f"{name} …", file=sys.stderr)
            table = importlib.import_module(f"benchmarks.{name}").measure(stack)
            print(section(table) + "\n", flush=True)
            if "--write" in words or not names:
                write([table])  # at once: what comes later may fail
                print(f"{DOCUMENT.name} has it.", file=sys.stderr)
    finally:
        stop_stack(stack)


if __name__ == "__main__":
    main(*sys.argv[1:])
