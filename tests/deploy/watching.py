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
FEWEST_PICTURES = 20
FEWEST_FAILURES = 2


@dataclass
class Watch:
    """A running Prometheus, and what its alert manager has told whom."""

    port: int
    others: Path  # the folder where Prometheus looks for more targets
    received: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # pages or tickets; an alert's labels

    def told(self, whom: str, alert: str, **labels: str) -> bool:
        """Whether the alert, with these labels, has reached them."""
        wanted = {"alertname": alert, **labels}.items()
        return any(receiver == whom and wanted <= said.items() for receiver, said in list(self.received))

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

    def firing(self, alert: str) -> bool:
        """Prometheus' own word: Alertmanager tells of a group once."""
        return bool(self.ask(f'ALERTS{{alertname="{alert}",alertstate="firing"}}'))

    def rounds(self, count: int) -> None:
        """Returns when the slowest group of rules was evaluated so many times more."""
        for _ in range(count):
            before = self._evaluated()
            eventually(lambda before=before: self._evaluated() > before, seconds=60)  # type: ignore[misc]

    def _evaluated(self) -> str:
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/rules", timeout=10) as answer:
            return min(str(group["lastEvaluation"]) for group in json.load(answer)["data"]["groups"])

    def look_at(self, port: int, *, process: str) -> None:
        """One more target, within a moment."""
        targets = [{"targets": [f"127.0.0.1:{port}"], "labels": {"process": process}}]
        (self.others / f"{process}.json").write_text(json.dumps(targets))

    def look_away_from(self, process: str) -> None:
        (self.others / f"{process}.json").write_text("[]")

    def up(self) -> set[str]:
        """The processes that answer."""
        return {str(each["metric"]["process"]) for each in self.ask("up == 1")}  # type: ignore[index]


def hurried(rules: str) -> str:
    """The same conditions; what must last minutes lasts a second, and fewer pictures are enough to count complaints,
    and fewer failures to be many."""
    assert (rules.count(">= 100"), len(re.findall(r"count\w+ >= 5\b", rules))) == (1, 4)
    sooner = re.sub(r"for: \d+[mh]", "for: 1s", rules).replace(">= 100", f">= {FEWEST_PICTURES}")
    return re.sub(r"(count\w+) >= 5\b", rf"\1 >= {FEWEST_FAILURES}", sooner)


@contextmanager
def watching(stack: Stack, folder: Path) -> Iterator[Watch]:
    watch = Watch(free_port(), folder / "others")
    watch.others.mkdir()
    manager = free_port()

    def note(connection: socket, head: bytes) -> None:
        length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))  # type: ignore[union-attr]
        body = head.partition(b"\r\n\r\n")[2]
        while len(body) < length and (part := connection.recv(65536)):
            body += part
        where = head.split(b" ", 2)[1].decode().strip("/")
        alerts = json.loads(body)["alerts"]
        watch.received += [(where, alert["labels"]) for alert in alerts if alert["status"] == "firing"]
        answering()(connection, head)

    with ExitStack() as running:
        inbox, _ = running.enter_context(receiver(note))
        (folder / "alerts.yml").write_text(hurried((RULES / "alerts.yml").read_text()))
        shutil.copy(RULES / "alertmanager.yml", folder)
        alertmanager = (folder / "alertmanager.yml").read_text().replace(":9199/", f":{inbox}/")
        for pause, shorter in {"group_wait: 10s": "group_wait: 0s", "group_interval: 5m": "group_interval: 1s"}.items():
            assert pause in alertmanager
            alertmanager = alertmanager.replace(pause, shorter)
        (folder / "alertmanager.yml").write_text(alertmanager)
        configuration = yaml.safe_load((RULES / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]
        configuration["scrape_configs"][0]["file_sd_configs"][0]["files"] = [
            str(stack.var.config / "metrics.json"),
            str(watch.others / "*.json"),
        ]
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
