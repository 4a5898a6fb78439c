"""Real faults in the running stack reach a person: Easel's ports → Prometheus → the shipped rules → Alertmanager."""

import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import psycopg
import pytest

from easel.embedded.stack import Stack
from tests.cast import Customer
from tests.deploy.fleet import Hand
from tests.deploy.programs import needs
from tests.deploy.rabbit import free_port
from tests.deploy.test_dashboards import queries
from tests.deploy.watching import FEWEST_PICTURES, Watch, watching
from tests.generation.conftest import Workshop, ended, make_workshop
from tests.web.served import eventually

pytestmark = needs("prometheus", "prometheus-alertmanager")


@pytest.fixture(scope="module")
def workshop(tiny_folder: Path) -> Workshop:
    return make_workshop(str(tiny_folder))


@pytest.fixture(scope="module")
def broken(tiny_folder: Path, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A model in the same pool, whose files are gone after it was registered."""
    lost = tmp_path_factory.mktemp("lost") / "model"
    shutil.copytree(tiny_folder, lost)
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
    eventually(lambda: watch.told("pages", "EaselSuccessRateLow"), seconds=60)


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
        threading.Event().wait(6)
        locking.rollback()
    for thread in asking:
        thread.join()
    assert set(answers) == {200}
    eventually(lambda: watch.told("pages", "EaselResponseSlow"), seconds=60)


def test_complaints_about_delivered_pictures_wake_somebody(
    watch: Watch, ada: Customer, workshop: Workshop, stack: Stack
) -> None:
    """The fault: pictures that should not have been made. Two people say so on the pages of shared pictures; that is no
    rate while few pictures were delivered, and too high a one when enough were."""
    (first,), second = drawn(ada, workshop), drawn(ada, workshop, n=3)[0]
    for image in (first, second):
        complain(share(ada, image, stack), reason="violence")
    eventually(lambda: watch.value("sum(easel_complaints_total)") == 2, seconds=60)
    assert watch.value("sum(easel_images_delivered_total)") < FEWEST_PICTURES
    watch.rounds(3)
    assert not watch.firing("EaselComplaintRateHigh")
    for _ in range(FEWEST_PICTURES // 4):
        drawn(ada, workshop, n=4)
    eventually(lambda: watch.told("pages", "EaselComplaintRateHigh"), seconds=60)
    assert watch.value("easel:complaints:ratio24h") == pytest.approx(
        2 / watch.value("sum(easel_images_delivered_total)"), rel=0.5
    )  # Prometheus estimates what it has not seen


def drawn(customer: Customer, workshop: Workshop, **fields: int) -> list[str]:
    """The ids of delivered pictures."""
    generation = workshop.submit(customer, **fields)
    assert ended(generation).status == "completed"
    return [each["id"] for each in customer.client().get(f"/v1/generations/{generation}").json()["images"]]


def share(customer: Customer, image: str, stack: Stack) -> str:
    """The address of its public page."""
    token = {"Authorization": f"Bearer {customer.token()}"}
    answer = httpx.post(f"{stack.base_url}/v1/images/{image}/shares", json={}, headers=token, timeout=60)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


def complain(page: str, *, reason: str) -> None:
    """As a browser does: the page's own form, with its cookie."""
    with httpx.Client(headers={"Accept": "text/html"}, timeout=60) as browser:
        form = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(page).text)
        assert form, "the page has no form"
        sent = browser.post(f"{page}/complaints", data={"csrfmiddlewaretoken": form[1], "reason": reason})
        assert sent.status_code == 302, sent.text
        assert browser.get(urljoin(page, sent.headers["Location"])).status_code == 200


@pytest.fixture
def dial(stack: Stack, watch: Watch, tmp_path: Path) -> Iterator[Path]:
    """A file that says how busy the device of one more worker is."""
    dial, port = tmp_path / "dial", free_port()
    turn(dial, to=0.7)
    environment = {
        "DIAL": str(dial),
        "EASEL_POOLS": "dialed",
        "EASEL_VAR": str(tmp_path),
        "EASEL_METRICS_PORT": str(port),
    }
    worker = Hand(tmp_path, stack.environment("worker") | environment, ("-m", "tests.deploy.dialed_worker"))
    worker.start()
    watch.look_at(port, process="dialed")
    try:
        yield dial
    finally:
        watch.look_away_from("dialed")
        worker.stop()


def turn(dial: Path, *, to: float) -> None:
    """At once: whoever reads never finds half of it."""
    dial.with_suffix(".new").write_text(str(to))
    dial.with_suffix(".new").replace(dial)


def test_a_device_that_has_no_pause_is_told(watch: Watch, dial: Path) -> None:
    """The fault: more work than a GPU can do, so that it says of itself that it is always busy."""
    told = 'easel_device_utilization_ratio{process="dialed",device="cuda:0"}'
    firing = 'ALERTS{alertname="EaselDeviceSaturated",alertstate="firing",device="cuda:0"}'
    eventually(lambda: [each["value"][1] for each in watch.ask(told)] == ["0.7"], seconds=60)  # type: ignore[index]
    watch.rounds(3)
    assert not watch.ask(firing)
    turn(dial, to=0.97)
    eventually(lambda: watch.ask(firing), seconds=60)
    eventually(lambda: watch.told("tickets", "EaselDeviceSaturated", device="cuda:0"), seconds=60)
    turn(dial, to=0.7)
    eventually(lambda: not watch.ask(firing), seconds=60)


def test_a_worker_tells_how_busy_its_processor_is(watch: Watch, ada: Customer, workshop: Workshop) -> None:
    """What stands in for a GPU's own word on a processor. How much of it the machine gives the worker is not asked."""
    told = 'easel_device_utilization_ratio{process="worker",device="cpu"}'
    eventually(lambda: watch.ask(told), seconds=60)
    eventually(lambda: watch.value(told) < 0.15, seconds=60)
    workshop.submit(ada, steps=150, width=256, height=256, n=4)
    eventually(lambda: watch.value(told) > 0.3, seconds=60)
    ada.client().post("/v1/generations/cancel", {}, format="json")


def test_a_process_that_is_gone_wakes_somebody(watch: Watch, stack: Stack) -> None:
    assert not watch.told("pages", "EaselTargetDown", process="clock")
    stack.halt("clock")
    eventually(lambda: watch.told("pages", "EaselTargetDown", process="clock"), seconds=60)
