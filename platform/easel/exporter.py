"""Metrics on an internal port, in Prometheus' text form: one port for each kind of process.

Several processes behind one port (the web's workers) share PROMETHEUS_MULTIPROC_DIR. Each of them listens on the same
port with SO_REUSEPORT, and whichever the kernel picks answers for all of them.
"""

import os
import threading
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector

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


def registry() -> CollectorRegistry:
    """This process's metrics, or the sum over all that share the folder."""
    if not os.environ.get(SHARED_FOLDER):
        return REGISTRY
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
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
