"""The engine beside serving frameworks: LitServe and Ray Serve, both batching by equal parameters, under one load.

`python -m benchmarks.engine_peers [equal] [mixed] [poisson]` prints the table and draws docs/figures. BENCH_IMAGES says
how many requests, BENCH_SHARES the shares of the best peer's capacity, BENCH_BEST that capacity where it is known, and
BENCH_WITHOUT a peer to leave out.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any
from uuid import uuid4

from benchmarks import loads, plot
from benchmarks.peers.install import install
from benchmarks.table import Table
from easel.embedded.stack import Stack
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Admission, Checkpoint, Drawing, Drawn

THREADS = int(os.environ.get("EASEL_TORCH_THREADS", "0")) or os.cpu_count() or 1
IMAGES = int(os.environ.get("BENCH_IMAGES", "48"))
WITHOUT = os.environ.get("BENCH_WITHOUT", "")
SERVERS = {"LitServe": "litserve_server.py", "Ray Serve": "ray_server.py"}
PEERS = {name: script for name, script in SERVERS.items() if name != WITHOUT}
ENGINE = "the loop"
WAYS = (*PEERS, ENGINE)
ROOT = Path(__file__).resolve().parents[1]
STARTER = ROOT / "starter" / "weights"


SHARES = tuple(map(float, os.environ.get("BENCH_SHARES", "0.5 0.8 1.2").split()))
Figures = dict[str, dict[str, loads.Outcome]]  # load → way → what was seen


def main(parts: list[str]) -> None:
    print(told(measured(parts)).markdown())


def measure(stack: Stack) -> Table:
    """For `make bench`: all of it, with figures in docs/figures."""
    return told(measured(["equal", "mixed", "poisson"]))


def measured(parts: list[str]) -> Figures:
    """Each way is started once for the loads that come at once, and once more for those that come as they come, whose
    rate is known only then."""
    figures: Figures = {}
    for way in WAYS:
        with served(way) as (draw, pid):
            for name, load in (("equal", loads.equal), ("mixed", loads.mixed)):
                if name in parts:
                    outcome = seen(pid, lambda load=load: loads.at_once(load(IMAGES), draw))
                    figures.setdefault(name, {})[way] = note(name, way, outcome)
    best = float(os.environ.get("BENCH_BEST", "0")) or max(
        (outcome.rate for way, outcome in figures.get("mixed", {}).items() if way in PEERS), default=0.0
    )
    for way in WAYS if "poisson" in parts else ():
        with served(way) as (draw, pid):
            for share in SHARES:
                name = f"mixed, arriving at {share:.0%}"
                outcome = seen(
                    pid, lambda share=share: loads.poisson(loads.mixed(IMAGES), draw, rate=share * best)
                )  # fmt: skip
                figures.setdefault(name, {})[way] = note(name, way, outcome)
    return figures


def seen(pid: int | None, run: Callable[[], loads.Outcome]) -> loads.Outcome:
    """With the processor time of what drew: a server's own, or in one process all but the sending of requests."""
    before = cpu_of(pid)
    outcome = run()
    return replace(outcome, server_cpu=cpu_of(pid) - before if pid else outcome.generator_cpu)


def note(load: str, way: str, outcome: loads.Outcome) -> loads.Outcome:
    print(f"{load}, {way}: {outcome.rate:.3f} images/s", file=sys.stderr, flush=True)
    return outcome


def told(figures: Figures) -> Table:
    for name, title, of in (
        ("engine-rate", "Images a second", lambda outcome: outcome.rate),
        ("engine-short", "p95 of short jobs", lambda outcome: outcome.percentile(0.95, short=True)),
    ):
        groups = {load: {way: of(outcome) for way, outcome in ways.items()} for load, ways in figures.items()}
        told_of = {load: ways for load, ways in groups.items() if not any(value != value for value in ways.values())}
        if told_of:
            plot.bars(name, title, told_of, unit="images/s" if name == "engine-rate" else "s")
    return Table(
        "Engine: beside serving frameworks",
        f"{IMAGES} requests of the starter model, {THREADS} torch threads each; peers ({', '.join(PEERS)}) draw by "
        "plain diffusers in dynamic batches of up to 16, grouped by equal parameters. Equal: 20 steps of DPM++ 2M. "
        "Mixed: 8 to 50 steps, four samplers, three guidance values, two sizes. All at once, and as they come "
        "(Poisson) at a share of what the best peer carries when all come at once. Short jobs have at most 12 "
        "steps. The generator's processor time is told apart for the peers; in the loop's own process it is within "
        "the images a CPU second."
        "\n\n![Images a second](figures/engine-rate.svg)\n\n![p95 of short jobs](figures/engine-short.svg)",
        ["load", "way", "images/s", "p50", "p95", "p95 of short jobs", "images a CPU second", "generator CPU"],
        [_row(load, way, outcome) for load, ways in figures.items() for way, outcome in ways.items()],
    )


def _row(load: str, way: str, outcome: loads.Outcome) -> list[str]:
    short = outcome.percentile(0.95, short=True)
    return [
        load, way, f"{outcome.rate:.2f}", f"{outcome.percentile(0.5):.1f} s", f"{outcome.percentile(0.95):.1f} s",
        "" if short != short else f"{short:.1f} s", f"{outcome.images / outcome.server_cpu:.2f}",
        f"{outcome.generator_cpu:.2f} s" if way in PEERS else "",
    ]  # fmt: skip


@contextlib.contextmanager
def served(way: str) -> Iterator[tuple[loads.Draw, int | None]]:
    """A way to draw, warmed up; with the server's process, or None for the engine in this one."""
    with engine(THREADS) if way == ENGINE else _peer(PEERS[way]) as (draw, pid):
        loads.at_once(loads.equal(4), draw)
        yield draw, pid


@contextlib.contextmanager
def engine(threads: int) -> Iterator[tuple[loads.Draw, None]]:
    """The loop in this process, behind a desk that keeps requests in order."""
    checkpoint = Checkpoint(name="starter", source=str(STARTER))
    loop = LoopEngine(device="cpu", threads=threads)
    loop.warm_up([checkpoint])
    desk = Desk(loop)

    def draw(request: loads.Request) -> object:
        wanted = Drawing(image_id=uuid4(), checkpoint=checkpoint, negative_prompt="", **request)
        return desk.ask(wanted).result()

    yield draw, None
    desk.close()
    loop.close()


class Desk:
    """First come, first served, in front of the engine's places: what production's queue does."""

    def __init__(self, engine: LoopEngine) -> None:
        self._engine, self._open = engine, True
        self._waiting: list[tuple[Drawing, Future[Future[Drawn]]]] = []
        self._changed = Condition()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def ask(self, drawing: Drawing) -> "Future[Drawn]":
        admitted: Future[Future[Drawn]] = Future()
        with self._changed:
            self._waiting.append((drawing, admitted))
            self._changed.notify()
        return admitted.result()

    def close(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or not self._open)
                if not self._waiting:
                    return
                drawing, admitted = self._waiting.pop(0)
            while not self._engine.wait_for_slot(timeout=1):
                pass
            admission = Admission(drawing=drawing, on_step=lambda done, total: None, stop=Event())
            admitted.set_result(self._engine.admit(admission))


@contextlib.contextmanager
def _peer(script: str) -> Iterator[tuple[loads.Draw, int]]:
    port = _free_port()
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    server = subprocess.Popen(
        [str(install()), "-m", f"benchmarks.peers.{script.removesuffix('.py')}", str(port), str(THREADS)],
        env=environment, cwd=ROOT, stdout=sys.stderr, stderr=sys.stderr, start_new_session=True,
    )  # fmt: skip

    def draw(request: loads.Request) -> object:
        connection = HTTPConnection("127.0.0.1", port, timeout=600)
        connection.request("POST", "/draw", json.dumps(request), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{script}: {answer.status} {body[:200]!r}")
        return json.loads(body)

    try:
        _wait_for(lambda: draw(loads.equal(1)[0]), server)
        yield draw, server.pid
    finally:
        for pid in reversed(_tree(server.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 15)
        server.wait(30)


def _wait_for(works: Any, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            works()
        except (OSError, RuntimeError) as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not start") from error
            time.sleep(0.5)
        else:
            return


def cpu_of(pid: int | None) -> float:
    """Seconds of processor used by a process and all below it that live."""
    if pid is None:
        return 0.0
    ticks = 0
    for each in _tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _tree(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1:] or ["equal", "mixed", "poisson"])
