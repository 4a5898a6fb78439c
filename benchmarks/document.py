"""docs/benchmarks.md: a section for each table, with the day, the machine and the versions it was measured with.

A benchmark that is run again replaces its own section, text below the table included; all others stay as they are."""

import datetime
import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.table import Table

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
TOLD: Final = ("Django", "torch", "diffusers")


def write(tables: Iterable[Table], document: Path = DOCUMENT) -> None:
    head, *sections = re.split(r"^(?=## )", document.read_text(), flags=re.MULTILINE)
    by_title = {section.partition("\n")[0].removeprefix("## "): section.rstrip() for section in sections}
    by_title |= {table.title: section(table) for table in tables}
    document.write_text("\n\n".join([head.rstrip(), *by_title.values()]) + "\n")


def section(table: Table) -> str:
    return f"{table.markdown().rstrip()}\n\n*{stamp()}*"


def stamp() -> str:
    day = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in TOLD)]
    return f"{', '.join([day, platform.machine(), cores(), *versions])}."


def cores() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "unknown processor")
    return f"{os.cpu_count()} cores of {model}"
