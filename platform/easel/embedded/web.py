"""The two web processes: the customers' on PORT, the staff's on the next one."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from easel.embedded.application import Application, answers
from easel.embedded.var import ROOT

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
LOGS: Final = ROOT / "platform/easel/uvicorn.json"


class Web(Application):
    name = "web"
    workers = 2

    def __init__(self, environment: Mapping[str, str], *, host: str, port: int) -> None:
        super().__init__(environment)
        self._host = host
        self._port = port

    def prepare(self) -> None:
        """What earlier processes counted is of no use: Prometheus expects counters to begin anew with the process."""
        if shared := self._environment.get(SHARED_FOLDER):
            shutil.rmtree(shared, ignore_errors=True)
            Path(shared).mkdir(mode=0o700)

    def command(self) -> list[str]:
        return self.python(
            "-m",
            "uvicorn",
            "easel.asgi:application",
            f"--host={self._host}",
            f"--port={self._port}",
            f"--workers={self.workers}",
            "--loop=uvloop",
            "--http=httptools",
            "--backlog=4096",
            f"--log-config={LOGS}",  # of the main process, which loads no settings
            "--no-access-log",  # the application writes its own, with the request id
            "--no-proxy-headers",  # whom to believe is EASEL_PROXIES' to say
            "--no-server-header",
            "--timeout-keep-alive=75",  # longer than a proxy keeps an idle connection
            "--timeout-graceful-shutdown=3",
            "--timeout-worker-healthcheck=60",  # how long a new worker may take to serve, before an old one is kept
        )

    def ready(self) -> bool:
        host = "127.0.0.1" if self._host in {"0.0.0.0", "::"} else self._host
        return answers(f"http://{host}:{self._port}/healthz")


class Staff(Web):
    """Holds the platform role: stays on the loopback whatever BIND says."""

    name = "staff"
    workers = 1
