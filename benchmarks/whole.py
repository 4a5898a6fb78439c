"""Easel whole beside its engine alone: the same requests over HTTP, with database, moderation and storage.

The device is one core, so that all that stands beside it has the other one, as it has beside a GPU. Whose processor
time a picture takes is told apart.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psutil

from benchmarks import loads
from benchmarks.engine_peers import STARTER, engine
from benchmarks.memory import kind_of
from benchmarks.table import Table
from easel.embedded.stack import Stack

IMAGES: Final = 64  # with half as many, the beginning and the end are a good part of it
ROUNDS: Final = 2
THREADS: Final = 1
TENANTS: Final = 4
LOADS: Final[dict[str, Callable[[int], list[loads.Request]]]] = {"equal": loads.equal, "mixed": loads.mixed}


def measure(stack: Stack) -> Table:
    alone, whole = _alone(), _whole(stack)
    rows = []
    for name in LOADS:
        drawn, (outcome, used) = alone[name], whole[name]
        judging = used["screening"]
        beside = outcome.images / (outcome.seconds - judging / (psutil.cpu_count() or 1))
        others = sum(used.values()) - used["worker"] - judging
        rows.append([
            name, f"{drawn.rate:.2f}", f"{outcome.rate:.2f}", f"{outcome.rate / drawn.rate:.2f}",
            f"{beside / drawn.rate:.2f}", *(
                f"{spent / outcome.images * 1000:.0f} ms" for spent in (used["worker"], judging, others)
            ),
        ])  # fmt: skip
    return Table(
        "Easel whole beside its engine",
        f"{IMAGES} requests of the starter model at once, each with words of its own, by {TENANTS} tenants: drawn by "
        f"the engine alone in one process, and asked of Easel over HTTP, from before the first POST until each picture "
        f"has been fetched; the better of {ROUNDS} rounds. {THREADS} torch thread of "
        f"{psutil.cpu_count()} cores for both. Loads as beside serving frameworks. The limit we set ourselves is 0.85, "
        "moderation's processor time taken off. Processor time is for each picture: the worker's, the screening "
        "process's, and all others' together (web, Postgres, Valkeys, object storage, clock).",
        ["load", "engine alone", "whole", "ratio", "without moderation's time", "worker", "moderation", "others"],
        rows,
    )


def _alone() -> dict[str, loads.Outcome]:
    found = {}
    with engine(THREADS) as (draw, _):
        loads.at_once(_own_words(loads.equal(4)), draw)
        for name, load in LOADS.items():
            rounds = [loads.at_once(_own_words(load(IMAGES)), draw) for _ in range(ROUNDS)]
            found[name] = max(rounds, key=lambda each: each.rate)
    return found


def _whole(stack: Stack) -> dict[str, tuple[loads.Outcome, Counter[str]]]:
    found = {}
    with _served(stack) as draw:
        loads.at_once(_own_words(loads.equal(8)), draw)
        for name, load in LOADS.items():
            rounds = []
            for _ in range(ROUNDS):
                before = _processor_seconds(stack)
                outcome = loads.at_once(_own_words(load(IMAGES)), draw)
                rounds.append((outcome, _processor_seconds(stack) - before))
            found[name] = max(rounds, key=lambda each: each[0].rate)
    return found


def _own_words(requests: list[loads.Request]) -> list[loads.Request]:
    """No prompt is known to any cache, and none is drawn twice."""
    return [{**request, "prompt": f"{request['prompt']} {uuid4().hex[:6]}"} for request in requests]


@contextmanager
def _served(stack: Stack) -> Iterator[loads.Draw]:
    from benchmarks.crowd import paying_customers
    from easel.database import platform_role
    from generation.registry import native_size, register

    pool = f"whole-{uuid4().hex[:6]}"
    with platform_role():
        register(pool, str(STARTER), pool=pool, native_size=native_size(Path(STARTER)), factor=0.05)
    tokens = [customer.token() for customer in paying_customers(TENANTS)]
    turn = iter(range(10**6))

    def draw(request: loads.Request) -> object:
        token = tokens[next(turn) % TENANTS]
        made = _ask(stack, "POST", "/v1/generations", token, {**request, "model": pool})
        while made["status"] in {"queued", "running"}:
            made = _ask(stack, "GET", f"/v1/generations/{made['id']}", token)
        if made["status"] != "completed":
            raise RuntimeError(f"{made['status']}: {made}")
        return _ask(stack, "GET", made["images"][0]["url"].removeprefix(stack.base_url), token)

    stack.restart("screening", extra={"EASEL_SCREENING_IMAGE_SCORER": ""})  # the real one, not the suite's
    stack.start("worker", "clock", extra={"EASEL_POOLS": pool, "EASEL_TORCH_THREADS": str(THREADS)})
    try:
        yield draw
    finally:
        stack.halt("worker", "clock")


def _ask(stack: Stack, method: str, path: str, token: str, body: object = None) -> Any:
    line = HTTPConnection("127.0.0.1", stack.port, timeout=600)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    headers |= {"Prefer": "wait=60"} if method == "GET" else {}
    line.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = line.getresponse()
    content = answer.read()
    line.close()
    if answer.status not in {200, 202}:
        raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
    return json.loads(content) if "json" in str(answer.getheader("Content-Type")) else content


def _processor_seconds(stack: Stack) -> Counter[str]:
    """By kind of process, of all that the stack has started."""
    sums: Counter[str] = Counter()
    for process in psutil.Process().children(recursive=True):
        try:
            used = process.cpu_times()
            sums[kind_of(process) or "other"] += used.user + used.system
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return sums
