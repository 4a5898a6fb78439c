"""`make bench`: run every benchmark on a stack of its own and write its section of docs/benchmarks.md.

`python -m benchmarks NAME …` runs some of them and prints their tables; `--write` before the names writes them, too.
"""

import argparse
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all of them, if none is named: {', '.join(NAMES)}")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md, too; without names always")
    asked = parser.parse_args(words)
    if strange := [name for name in asked.names if name not in NAMES]:
        parser.error(f"there is no benchmark {', '.join(strange)}")
    stack = start_stack()
    try:
        set_up_django()
        stack.start("web")
        for name in asked.names or NAMES:
            print(f"{name} …", file=sys.stderr)
            table = importlib.import_module(f"benchmarks.{name}").measure(stack)
            print(section(table) + "\n", flush=True)
            if asked.write or not asked.names:
                write([table])  # at once: what comes later may fail
                print(f"{DOCUMENT.name} has it.", file=sys.stderr)
    finally:
        stop_stack(stack)


if __name__ == "__main__":
    main(*sys.argv[1:])
