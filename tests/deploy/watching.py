"""A real Prometheus and a real Alertmanager beside the running stack, impatient enough for a test."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from urllib.parse import quote
from urllib.request import urlopen

import yaml

from easel.embedded.stack import Stack
from tests.deploy.rabbit import free_port
from tests.web.receiver import answering, receiver
from tests.web.served import eventually

RULES = Path(__file__).resolve().parents[2] / "deploy/prometheus"


@dataclass
class Watch:
    """`pages` and `tickets`: names of the alerts that reached somebody."""

    port: int
    received: dict[str, set[str]] = field(default_factory=lambda: {"pages": set(), "tickets": set()})

    def ask(self, query: str) -> list[dict[str, object]]:
        """The result of an instant query; it fails when Prometheus finds a fault in it."""
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?query={quote(query)}", timeout=10) as answer:
            said = json.load(answer)
        assert said["status"] == "success", said
        result: list[dict[str, object]] = said["data"]["result"]
        return result

    def value(self, query: str) -> float:
        (only,) = self.ask(query)
        return float(only["value"][1])  # type: ignore[index]

    def up(self) -> set[str]:
        """The processes that answer."""
        return {str(each["metric"]["process"]) for each in self.ask("up == 1")}  # type: ignore[index]


def hurried(rules: str) -> str:
    """The same conditions; what must last minutes lasts a second, and one picture is enough to count complaints."""
    return re.sub(r"for: \d+[mh]", "for: 1s", rules).replace(">= 100", ">= 1")


@contextmanager
def watching(stack: Stack, folder: Path) -> Iterator[Watch]:
    watch = Watch(free_port())
    manager = free_port()

    def note(connection: socket, head: bytes) -> None:
        length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))  # type: ignore[union-attr]
        body = head.partition(b"\r\n\r\n")[2]
        while len(body) < length and (part := connection.recv(65536)):
            body += part
        where = head.split(b" ", 2)[1].decode().strip("/")
        watch.received[where] |= {alert["labels"]["alertname"] for alert in json.loads(body)["alerts"]}
        answering()(connection, head)

    with ExitStack() as running:
        inbox, _ = running.enter_context(receiver(note))
        (folder / "alerts.yml").write_text(hurried((RULES / "alerts.yml").read_text()))
        shutil.copy(RULES / "alertmanager.yml", folder)
        alertmanager = (folder / "alertmanager.yml").read_text().replace(":9199/", f":{inbox}/")
        (folder / "alertmanager.yml").write_text(alertmanager.replace("group_wait: 10s", "group_wait: 0s"))
        configuration = yaml.safe_load((RULES / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]
        configuration["scrape_configs"][0]["file_sd_configs"][0]["files"] = [str(stack.var.config / "metrics.json")]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        _start(
            running,
            folder,
            "prometheus-alertmanager",
            f"--web.listen-address=127.0.0.1:{manager}",
            "--config.file=alertmanager.yml",
            "--cluster.listen-address=",
            "--storage.path=manager",
        )
        _start(
            running,
            folder,
            "prometheus",
            f"--web.listen-address=127.0.0.1:{watch.port}",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=series",
        )
        eventually(lambda: _answers(watch.port) and _answers(manager), seconds=60)
        yield watch


def _start(running: ExitStack, folder: Path, *command: str) -> None:
    log = running.enter_context((folder / f"{command[0]}.log").open("wb"))
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    running.callback(process.wait, 20)
    running.callback(process.terminate)


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
