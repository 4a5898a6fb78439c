"""Metrics on an internal port, in Prometheus' text form: one port for each kind of process.

Several processes behind one port (the web's workers) share PROMETHEUS_MULTIPROC_DIR. Each of them listens on the same
port with SO_REUSEPORT, and whichever the kernel picks answers for all of them.
"""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, Metric, ProcessCollector, make_wsgi_app
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

log = structlog.get_logger(__name__)


class Exporter:
    """Answers scrapes until `stop()`. `port` 0 takes a free one; `self.port` tells which."""

    def __init__(self, *, host: str, port: int, registry: CollectorRegistry) -> None:
        server = _SharedServer if os.environ.get(SHARED_FOLDER) else _Server
        self._server = make_server(host, port, make_wsgi_app(registry), server, _Quiet)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SharedServer(_Server):
    allow_reuse_port = True


class _Quiet(WSGIRequestHandler):
    timeout = 10  # seconds that a silent connection is kept

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """A scrape every few seconds is no news."""


class Living(MultiProcessCollector):
    """What all processes of the folder count together, without the gauges of those that have ended: what a killed one
    had open would stay open for ever."""

    def __init__(self, registry: CollectorRegistry, folder: Path) -> None:
        super().__init__(registry, str(folder))  # type: ignore[no-untyped-call]
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        for pid in _pids(self._folder):
            if not Path("/proc", pid).exists():
                with suppress(FileNotFoundError):  # another process of the port does it at this moment
                    mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]
        found: Iterable[Metric] = super().collect()  # type: ignore[no-untyped-call]
        return found


class EachProcess(Collector):
    """CPU time and memory of every process that shares the folder: the shared files hold only what is counted in them.

    Each has a series of its own, by its `pid`. A sum would fall when a process is replaced, and Prometheus would take
    the rest of it for work that was just done.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        cpu = CounterMetricFamily("process_cpu_seconds", "User and system CPU time of a process.", labels=["pid"])
        memory = GaugeMetricFamily("process_resident_memory_bytes", "Resident memory of a process.", labels=["pid"])
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {f"{cpu.name}_total": cpu, memory.name: memory}
        for pid in _pids(self._folder):
            for metric in ProcessCollector(pid=partial(str, pid), registry=None).collect():
                for sample in metric.samples:
                    if sample.name in families:
                        families[sample.name].add_metric([pid], sample.value)
        return families.values()


def _pids(folder: Path) -> list[str]:
    """Of the processes that count in the folder, from their files' names: also those that have ended, which /proc does
    not know."""
    return sorted({path.stem.rpartition("_")[2] for path in folder.glob("*.db")})


def registry() -> CollectorRegistry:
    """This process's metrics, or the sum over all that share the folder."""
    folder = os.environ.get(SHARED_FOLDER)
    if not folder:
        return REGISTRY
    shared = CollectorRegistry()
    Living(shared, Path(folder))
    shared.register(EachProcess(Path(folder)))
    return shared


def start() -> Exporter | None:
    """What the settings ask for; None when they name no port. A port that is taken is logged: work goes on without."""
    if not settings.METRICS_PORT:
        return None
    try:
        return Exporter(host=settings.METRICS_BIND, port=settings.METRICS_PORT, registry=registry())
    except OSError:
        log.exception("metrics.port_taken", port=settings.METRICS_PORT)
        return None
