"""Real faults in the running stack reach a person: Easel's ports → Prometheus → the shipped rules → Alertmanager."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from easel.embedded.stack import Stack
from tests import tiny
from tests.cast import Customer
from tests.deploy.programs import needs
from tests.deploy.test_dashboards import queries
from tests.deploy.watching import Watch, watching
from tests.generation.conftest import Workshop, ended, make_workshop
from tests.web.served import eventually

pytestmark = needs("prometheus", "prometheus-alertmanager")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def workshop(folder: Path) -> Workshop:
    return make_workshop(str(folder))


@pytest.fixture(scope="module")
def broken(folder: Path, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A model in the same pool, whose files are gone after it was registered."""
    lost = tmp_path_factory.mktemp("lost") / "model"
    shutil.copytree(folder, lost)
    made = make_workshop(str(lost))
    shutil.rmtree(lost)
    return made


@pytest.fixture(scope="module")
def watch(
    stack: Stack, workshop: Workshop, broken: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watch]:
    pools = f"{workshop.pool},{broken.pool}"
    stack.start("web", "clock")
    stack.start("worker", extra={"EASEL_POOLS": pools, "EASEL_TORCH_THREADS": "1", "EASEL_DEVICE": "cpu"})
    try:
        with watching(stack, tmp_path_factory.mktemp("watching")) as watch:
            yield watch
    finally:
        stack.halt("worker", "clock", "web")


def test_every_process_is_seen(watch: Watch) -> None:
    eventually(lambda: {"web", "worker", "clock", "screening"} <= watch.up(), seconds=60)


@pytest.mark.parametrize("where", queries())
def test_prometheus_understands_every_query_of_every_panel(where: str, watch: Watch) -> None:
    watch.ask(queries()[where])


def test_failing_generations_wake_somebody(watch: Watch, ada: Customer, workshop: Workshop, broken: Workshop) -> None:
    assert ended(workshop.submit(ada)).status == "completed"
    assert ended(broken.submit(ada)).status == "failed"
    # A rate needs a value before: wait until the first of each kind was seen.
    eventually(lambda: len(watch.ask('easel_generation_endings_total{process="worker"}')) >= 2, seconds=60)
    for _ in range(3):
        assert ended(workshop.submit(ada)).status == "completed"
        assert ended(broken.submit(ada)).status == "failed"
    eventually(lambda: "EaselSuccessRateLow" in watch.received["pages"], seconds=60)


def test_slow_answers_wake_somebody(watch: Watch, bob: Customer, stack: Stack) -> None:
    """The fault: somebody's migration holds a lock, and every request waits for the table."""
    address = f"{stack.base_url}/v1/generations?limit=1"
    token = {"Authorization": f"Bearer {bob.token()}"}
    assert httpx.get(address, headers=token, timeout=60).status_code == 200
    eventually(lambda: watch.ask('easel_http_request_seconds_count{method="GET",route=~".*generations"}'), seconds=60)
    credentials = stack.credentials
    superuser = stack.postgres.url("postgres", credentials.postgres)
    with psycopg.connect(superuser) as locking:
        locking.execute("LOCK TABLE generation_generation IN ACCESS EXCLUSIVE MODE")
        answers: list[int] = []
        asking = [
            threading.Thread(target=lambda: answers.append(httpx.get(address, headers=token, timeout=60).status_code))
            for _ in range(6)
        ]
        for thread in asking:
            thread.start()
        threading.Event().wait(8)
        locking.rollback()
    for thread in asking:
        thread.join()
    assert set(answers) == {200}
    eventually(lambda: "EaselResponseSlow" in watch.received["pages"], seconds=60)


def test_a_device_that_has_no_pause_is_told(watch: Watch, ada: Customer, workshop: Workshop) -> None:
    """The fault: more work than the device can do. On a processor its utilization is the worker's share of it. Warming
    up may have raised the alert before, and Alertmanager tells a group once: that it fires now is Prometheus' word."""
    flood = {"steps": 150, "width": 256, "height": 256, "n": 4}
    firing = 'ALERTS{alertname="EaselDeviceSaturated",alertstate="firing"}'

    def saturated() -> bool:
        (waiting,) = watch.ask(f'sum(easel_queue_jobs{{pool="{workshop.pool}",state="queued"}}) or vector(0)')
        if float(waiting["value"][1]) < 8:  # type: ignore[index]
            for _ in range(4):
                workshop.submit(ada, **flood)
        return bool(watch.ask(firing))

    eventually(lambda: not watch.ask(firing), seconds=60)
    eventually(saturated, seconds=120)
    eventually(lambda: "EaselDeviceSaturated" in watch.received["tickets"], seconds=60)
    ada.client().post("/v1/generations/cancel", {}, format="json")


def test_a_process_that_is_gone_wakes_somebody(watch: Watch, stack: Stack) -> None:
    stack.halt("clock")
    eventually(lambda: "EaselTargetDown" in watch.received["pages"], seconds=60)
