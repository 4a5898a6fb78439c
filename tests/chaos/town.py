"""A whole Easel under the harness's hands: its services, and between them and the processes the proxies."""

import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from easel.embedded.clock import Clock
from easel.embedded.stack import Stack
from easel.embedded.supervisor import Supervisor
from easel.embedded.var import Var
from easel.embedded.web import Web
from easel.embedded.worker import Worker
from tests.chaos.proxy import FaultProxy

# What each process is told about a service, and which of the proxies that leads through.
ADDRESSES = {
    "EASEL_DATABASE_URL": "postgres",
    "EASEL_PLATFORM_DATABASE_URL": "postgres",
    "EASEL_BROKER_URL": "broker",
    "EASEL_CACHE_URL": "cache",
    "EASEL_S3_ENDPOINT": "s3",
}
WORKERS = ("worker-a", "worker-b")
CLOCKS = ("clock-a", "clock-b")


class CheapWorker(Worker):
    """The worker's command with the stub engine, under a name of its own."""

    def __init__(self, name: str, environment: Mapping[str, str], var: Var) -> None:
        super().__init__(environment, var)
        self.name = name

    def command(self) -> list[str]:
        return self.python("-m", "tests.chaos.worker")


class NamedClock(Clock):
    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        super().__init__(environment)
        self.name = name


class Town:
    """Two web processes behind one port, two workers, two clocks. `stack` runs Postgres, both Valkeys and S3."""

    def __init__(self, stack: Stack, *, pool: str, knobs: Mapping[str, str]) -> None:
        self.stack, self.pool = stack, pool
        addresses = {name: stack.environment("staff")[variable] for variable, name in ADDRESSES.items()}
        self.proxies = {name: FaultProxy(_address(url)) for name, url in addresses.items()}
        self._knobs = {**knobs, "EASEL_POOLS": pool}
        self._folder = stack.var.root / "town"
        services = [
            Web(self._environment("web", "web"), host="127.0.0.1", port=stack.port),
            *(CheapWorker(name, self._environment("worker", name), self._var(name)) for name in WORKERS),
            *(NamedClock(name, self._environment("clock", name)) for name in CLOCKS),
        ]
        self._names = [service.name for service in services]
        self._supervisor = Supervisor(services, self._var("supervisor"), lambda subject, text: None)
        self.base_url = stack.base_url

    def start(self) -> None:
        self._supervisor.start(self._names)
        self._supervisor.wait(self._names)

    def stop(self) -> None:
        for proxy in self.proxies.values():
            proxy.heal()
        self._supervisor.close()

    def send(self, name: str, number: signal.Signals) -> None:
        """To a process of ours. The supervisor starts what dies again; here it never loses patience."""
        child = self._supervisor._children[name]
        child.failures = 0
        if child.pid is not None:
            child.signal(number)

    def send_to_a_web_process(self, number: signal.Signals) -> None:
        """To one of uvicorn's own processes."""
        master = self._supervisor.pid("web")
        found = subprocess.run(["pgrep", "-P", str(master)], capture_output=True, text=True, check=False).stdout.split()
        for pid in found[-1:]:
            with suppress(ProcessLookupError):
                subprocess.run(["kill", f"-{number.value}", pid], check=False)

    def send_to_service(self, name: str, number: signal.Signals) -> None:
        self.stack._supervisor._children[name].failures = 0
        self.stack.kill(name, number)

    def wait(self) -> None:
        """Until everything is up again."""
        self.stack.wait()
        self._supervisor.wait(self._names)

    def logs(self) -> list[Path]:
        return sorted(self._folder.rglob("*.log"))

    def _var(self, name: str) -> Var:
        var = Var(self._folder / name)
        var.make()
        return var

    def _environment(self, process: str, name: str) -> dict[str, str]:
        environment = self.stack.environment(process) | self._knobs | {"EASEL_VAR": str(self._var(name).root)}
        environment.pop("EASEL_METRICS_PORT", None)  # two of a kind on one machine would both want it
        for variable, service in ADDRESSES.items():
            if variable in environment:
                environment[variable] = _through(environment[variable], self.proxies[service].port)
        return environment


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{host}:{port}"))
