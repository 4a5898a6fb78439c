"""Every service of one Easel on one machine, for `make up` and for the test suite alike."""

import json
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from easel.embedded.application import INFRASTRUCTURE
from easel.embedded.clock import Clock
from easel.embedded.credentials import Credentials
from easel.embedded.environment import EXPORTING, environment_of, metrics_port
from easel.embedded.leash import end_leftovers
from easel.embedded.lock import Lock
from easel.embedded.ports import Ports
from easel.embedded.postgres import Postgres
from easel.embedded.screening import Screening
from easel.embedded.seaweed import PARTS, SeaweedFS
from easel.embedded.supervisor import Report, Supervisor
from easel.embedded.terminal import report as to_terminal
from easel.embedded.valkey import Broker, Cache
from easel.embedded.var import Var
from easel.embedded.web import Staff, Web
from easel.embedded.worker import Worker

APPLICATIONS = ("screening", "web", "staff", "worker", "clock")
INTERNAL_PORTS = ("postgres", "broker", "cache", "screening", *PARTS, *map(metrics_port, EXPORTING))


class Stack:
    """`services` are those that `start()` starts when it is given no names; the others can be started later."""

    def __init__(
        self,
        var: Path,
        services: Iterable[str] = INFRASTRUCTURE,
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        durable: bool = True,
        report: Report = to_terminal,
    ) -> None:
        self.var = Var(var)
        self.var.make()
        self._lock = Lock(self.var.lock)
        self._lock.acquire()
        if left := end_leftovers(self.var):
            report("easel", f"the last stop was unclean; put in order: {', '.join(left)}")
        self.services = tuple(services)
        self.credentials = Credentials.of(self.var.config / "credentials.json")
        self._ports = Ports(self.var.config / "ports.json")
        if port is None:
            self._ports.choose(*INTERNAL_PORTS, "web", "staff")
        else:
            self._ports.choose(*INTERNAL_PORTS, apart_from={port, port + 1})
        self._tell_prometheus()
        self._host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        self.port = port if port is not None else self._ports["web"]
        self.staff_port = port + 1 if port is not None else self._ports["staff"]
        self.postgres = Postgres(self.var, self.credentials, self._ports["postgres"], durable=durable)
        self.broker = Broker(self.var, self.credentials.broker, self._ports["broker"])
        self.cache = Cache(self.var, self.credentials.cache, self._ports["cache"])
        self.s3 = SeaweedFS(self.var, self.credentials, self._ports)
        self._supervisor = Supervisor(
            (
                self.postgres,
                self.broker,
                self.cache,
                self.s3,
                Screening(self.environment("screening"), port=self._ports["screening"]),
                Web(self.environment("web"), host=host, port=self.port),
                Staff(self.environment("staff"), host="127.0.0.1", port=self.staff_port),
                Worker(self.environment("worker"), self.var),
                Clock(self.environment("clock")),
            ),
            self.var,
            report,
        )

    def _tell_prometheus(self) -> None:
        """Where each kind of process can be scraped, as Prometheus' file_sd_configs read it."""
        (self.var.run / "metrics-web").mkdir(mode=0o700, exist_ok=True)  # also for a web that others start
        targets = [
            {"targets": [f"127.0.0.1:{self._ports[metrics_port(process)]}"], "labels": {"process": process}}
            for process in EXPORTING
        ]
        screening = f"127.0.0.1:{self._ports['screening']}"  # tells its metrics on the port it answers on
        targets.append({"targets": [screening], "labels": {"process": "screening"}})
        (self.var.config / "metrics.json").write_text(json.dumps(targets, indent=2) + "\n")

    @property
    def base_url(self) -> str:
        return f"http://{self._host}:{self.port}"

    @property
    def staff_url(self) -> str:
        return f"http://127.0.0.1:{self.staff_port}"

    def begin(self, *names: str, extra: Mapping[str, str] | None = None) -> None:
        """Like `start`, but does not wait."""
        self._supervisor.start(names or self.services, extra)

    def wait(self, *names: str) -> None:
        self._supervisor.wait(names or self.services)

    def start(self, *names: str, extra: Mapping[str, str] | None = None) -> None:
        """Starts them and returns when they answer. `extra` is added to their environment."""
        self.begin(*names, extra=extra)
        self.wait(*names)

    def halt(self, *names: str) -> None:
        """Stops these until they are started again; those that need them stay."""
        self._supervisor.stop(names)

    def restart(self, name: str, extra: Mapping[str, str] | None = None) -> None:
        self.halt(name)
        self.start(name, extra=extra)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """A signal to its main process, from which the supervisor has to recover."""
        self._supervisor.signal(name, number)

    def pid(self, name: str) -> int | None:
        return self._supervisor.pid(name)

    def states(self) -> dict[str, str]:
        """Name → down · starting · ready · stopping."""
        return self._supervisor.states()

    def check(self) -> None:
        self._supervisor.check()

    def stop(self) -> None:
        """Stops all, in reverse order, and leaves no process."""
        try:
            self._supervisor.close()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def environment(self, process: str = "web") -> dict[str, str]:
        """The whole environment of a process of this kind: web, staff, worker, clock, screening or manage."""
        return environment_of(process, var=self.var, credentials=self.credentials, ports=self._ports)
