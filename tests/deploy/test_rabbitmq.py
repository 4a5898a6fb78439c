"""RabbitMQ as the broker: the same bells, the same work, two workers; and a broker that is away loses nothing."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.test import override_settings

from billing.models import Entry
from easel import clock
from easel.broker import broker
from easel.database import platform_role
from easel.embedded.stack import Stack
from easel.embedded.var import ROOT
from tests.cast import Customer
from tests.deploy.programs import needs
from tests.deploy.rabbit import SERVER, free_port, rabbitmq
from tests.generation.conftest import Workshop, ended, make_workshop

pytestmark = needs(str(SERVER))
SECONDS_TO_START = 90
Processes = list[subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rabbitmq(tmp_path_factory.mktemp("rabbit")) as url:
        yield url


@pytest.fixture
def ringing(rabbit: str) -> Iterator[str]:
    """This process rings by RabbitMQ."""
    with ringing_at(rabbit):
        yield rabbit


def ringing_at(url: str) -> "_Ringing":
    return _Ringing(url)


class _Ringing:
    def __init__(self, url: str) -> None:
        self._settings = override_settings(BROKER_URL=url)

    def __enter__(self) -> None:
        broker.cache_clear()
        self._settings.enable()

    def __exit__(self, *exception: object) -> None:
        broker().close()
        self._settings.disable()
        broker.cache_clear()


@pytest.fixture
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    from tests import tiny

    return make_workshop(str(tiny.build(tmp_path_factory.mktemp("tiny"))))


@pytest.fixture
def two_workers(stack: Stack, ringing: str, workshop: Workshop, tmp_path: Path) -> Iterator[Processes]:
    workers, folders = [], [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        environment = stack.environment("worker") | {
            "EASEL_BROKER_URL": ringing,
            "EASEL_POOLS": workshop.pool,
            "EASEL_VAR": str(folder),
            "EASEL_METRICS_PORT": "0",
            "EASEL_TORCH_THREADS": "1",
            "EASEL_DEVICE": "cpu",
        }
        log = (folder / "log").open("wb")
        command = [sys.executable, "manage.py", "worker"]
        workers.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not all((folder / "run/worker.ready").exists() for folder in folders):
            assert time.monotonic() < deadline, (folders[0] / "log").read_text()[-2000:]
            time.sleep(0.1)
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            assert worker.wait(30) == 0


def test_two_workers_draw_what_two_tenants_ask_for_and_charge_it_once(
    ada: Customer, bob: Customer, workshop: Workshop, two_workers: Processes
) -> None:
    asked = [(customer, workshop.submit(customer, seed=seed)) for seed in range(6) for customer in (ada, bob)]
    assert {ended(generation).status for _, generation in asked} == {"completed"}
    with platform_role():
        for customer in (ada, bob):
            charged = Entry.objects.filter(tenant=customer.tenant, kind="charge").values_list("owner_id", flat=True)
            assert sorted(charged) == sorted(generation for each, generation in asked if each is customer)


def test_one_worker_killed_the_other_goes_on(ada: Customer, workshop: Workshop, two_workers: Processes) -> None:
    two_workers[0].kill()
    two_workers.pop(0).wait()
    assert ended(workshop.submit(ada)).status == "completed"


def test_a_broker_that_is_away_costs_a_bell_and_not_the_request(ada: Customer, workshop: Workshop) -> None:
    with ringing_at(f"amqp://guest:guest@127.0.0.1:{free_port()}/%2F"):
        begun = time.monotonic()
        generation = workshop.submit(ada)  # 202
        assert time.monotonic() - begun < 10
        clock.perform("ring_ready_pools")
    with platform_role():
        from generation.models import Generation

        assert Generation.objects.get(id=generation).status == "queued"


def test_readiness_asks_the_broker_that_is_set(ringing: str) -> None:
    from easel.health import check_broker

    check_broker()
    with ringing_at(f"amqp://127.0.0.1:{free_port()}"), pytest.raises(ConnectionRefusedError):
        check_broker()
    assert urlsplit(ringing).scheme == "amqp"
    assert os.environ["EASEL_BROKER_URL"].startswith("redis://")
