"""The memory of every process of a stack: what each has for itself (USS), summed by what they are."""

import os
from collections import defaultdict
from typing import Final

import psutil

# What a command line, or the folder it runs in, says of a process, the first that fits.
KINDS: Final = (
    ("uvicorn", "web"),
    ("tests.chaos.worker", "worker"),
    ("manage.py worker", "worker"),
    ("moderation.screening", "screening"),
    ("data/broker", "broker (Valkey)"),
    ("data/cache", "cache (Valkey)"),
    ("weed", "seaweedfs"),
    ("postgres", "postgres"),
    ("manage.py clock", "clock"),
)


def by_kind(master: int | None = None) -> dict[str, int]:
    """Bytes. Postgres makes and ends backends as pools grow and shrink: its sum is of those that are there."""
    sums: dict[str, int] = defaultdict(int)
    for process in psutil.Process(master or os.getpid()).children(recursive=True):
        try:
            kind = kind_of(process)
            if kind:
                sums[kind] += process.memory_full_info().uss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended, or is another user's where the suite runs as root: then it is not in the table
    return dict(sums)


def kind_of(process: psutil.Process) -> str:
    """ "" for one that is none of Easel's."""
    command = f"{' '.join(process.cmdline()) or process.name()} in {process.cwd()}"
    if "multiprocessing" in command:
        return "web"  # uvicorn's own children
    return next((kind for words, kind in KINDS if words in command), "")
