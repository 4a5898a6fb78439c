"""`make bench`: run every benchmark on a stack of its own and write docs/benchmarks.md.

`python -m benchmarks NAME …` runs some of them and prints their tables.
"""

import datetime
import importlib
import os
import platform
import sys
from pathlib import Path

from benchmarks.table import Table
from tests.stack import set_up_django, start_stack, stop_stack

NAMES = [
    "pick_up",
    "status_read",
    "token",
    "submit",
    "streams",
    "engine",
    "engine_peers",
    "adaptive",
    "wallet",
    "usage",
    "sealing",
    "claims",
    "cache",
    "routing",
    "moderated",
    "client",
]
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def main(names: list[str]) -> None:
    stack = start_stack()
    try:
        set_up_django()
        stack.start("web")
        tables = []
        for name in names or NAMES:
            print(f"{name} …", file=sys.stderr)
            tables.append(importlib.import_module(f"benchmarks.{name}").measure(stack))
    finally:
        stop_stack(stack)
    text = document(tables)
    if names:
        print(text)
    else:
        DOCUMENT.write_text(text)
        print(f"{DOCUMENT} is written.")


def document(tables: list[Table]) -> str:
    head = (
        "# Benchmarks\n\n"
        "Written by `make bench`. Ratios are taken in one run, on one machine; absolute times say little elsewhere.\n\n"
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {platform.machine()}, {cores()}, "
        f"Python {platform.python_version()}.\n"
    )
    return "\n".join([head, *(table.markdown() for table in tables)])


def cores() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "unknown processor")
    return f"{os.cpu_count()} cores of {model}"


if __name__ == "__main__":
    main(sys.argv[1:])
