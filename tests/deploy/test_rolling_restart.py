"""Web and workers are replaced one after the other under load: no request fails, no job is lost or charged twice."""

import json
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from billing.models import Entry
from easel.database import platform_role
from easel.embedded.stack import Stack
from easel.embedded.var import ROOT
from generation.models import Generation
from tests.cast import Customer
from tests.deploy.fleet import Hand, fleet
from tests.deploy.log_fields import faults_of
from tests.generation.conftest import Workshop, make_workshop, row, until

CLIENTS = 4


@dataclass
class Load:
    """Clients that ask without a pause on connections they keep: nothing is sent twice, so that a failure shows."""

    url: str
    token: str
    body: dict[str, object]
    answers: Counter[str] = field(default_factory=Counter)
    accepted: list[UUID] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=60) as client:
            mine, turn = [], 0
            while not self._over.wait(0.02):
                turn += 1
                try:
                    if turn % 12 == number:
                        answer = client.post(
                            f"{self.url}/v1/generations", json={**self.body, "seed": number * 10_000 + turn}
                        )
                        mine.append(UUID(answer.json()["id"]))
                    elif mine:
                        answer = client.get(f"{self.url}/v1/generations/status/{mine[turn % len(mine)]}")
                    else:
                        answer = client.get(f"{self.url}/v1/models")
                    self.answers[str(answer.status_code)] += 1
                except (httpx.TransportError, KeyError) as error:
                    self.answers[type(error).__name__] += 1
            self.accepted.extend(mine)


@pytest.fixture
def easel(stack: Stack) -> Iterator[Stack]:
    stack.start("web", "clock")
    yield stack
    stack.halt("clock", "web")


@pytest.fixture
def workshop() -> Workshop:
    return make_workshop("nowhere")


@pytest.fixture
def two_workers(stack: Stack, workshop: Workshop, tmp_path: Path) -> Iterator[list[Hand]]:
    with fleet(stack, tmp_path, pool=workshop.pool, size=2) as hands:
        yield hands


def children(stack: Stack) -> set[int]:
    """The process ids of the web's workers."""
    pid = stack.pid("web")
    return {each for each in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) if _serves(each)}


def _serves(pid: int) -> bool:
    """Beside its workers uvicorn has a helper of multiprocessing's; a worker may just have ended."""
    try:
        return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return False


def completed(generation: UUID) -> bool:
    """Also after a while in review, where the screening process was too busy to judge its picture at once."""
    return row(generation).status == "completed"


def test_a_rolling_restart_of_web_and_workers_fails_no_request_and_loses_no_job(
    easel: Stack, workshop: Workshop, two_workers: list[Hand], ada: Customer
) -> None:
    before = children(easel)
    assert len(before) == 2
    with Load(easel.base_url, ada.token(), workshop.body(steps=4)) as load:
        until(lambda: sum(load.answers.values()) > 50)
        easel.kill("web", signal.SIGHUP)
        for hand in two_workers:
            assert hand.stop() == 0
            hand.start()
        until(lambda: len(children(easel)) == 2 and not children(easel) & before)
        so_far = sum(load.answers.values())
        until(lambda: sum(load.answers.values()) > so_far + 50)
    assert set(load.answers) <= {"200", "202"}, load.answers
    assert len(load.accepted) >= 10
    for generation in load.accepted:
        until(partial(completed, generation), seconds=120)
    with platform_role():
        assert Generation.objects.filter(tenant=ada.tenant).count() == len(load.accepted)
        charges = list(Entry.objects.filter(tenant=ada.tenant, kind="charge").values_list("owner_id", flat=True))
    assert sorted(charges) == sorted(load.accepted)
    assert main_process_said(easel, "Received SIGHUP, restarting processes.")


def main_process_said(stack: Stack, message: str) -> bool:
    """In the form of all other lines, for whoever reads the log of a restart."""
    log = stack.var.log("web")
    assert faults_of(log) == {}
    said = [line for line in map(json.loads, log.read_text().splitlines()) if line["process.pid"] == stack.pid("web")]
    assert {line["process.name"] for line in said} == {"web"}
    return message in {line["message"] for line in said}


@pytest.mark.parametrize(
    "place",
    [
        "deploy/systemd/easel-web.service",
        "deploy/systemd/easel-staff.service",
        "deploy/docker/web.Dockerfile",
        "deploy/compose/compose.yml",
        "docs/operations.md",
    ],
)
def test_wherever_the_web_is_started_its_main_process_is_told_how_to_write(place: str) -> None:
    starting = [line for line in (ROOT / place).read_text().splitlines() if "easel.asgi:application" in line]
    assert starting
    for line in starting:
        (log_config,) = re.findall(r"--log-config=([\w./]+)", line)
        assert (ROOT / log_config).is_file()
