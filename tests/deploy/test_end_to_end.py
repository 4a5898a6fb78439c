"""The end-to-end suite, on each broker, with two workers: the client's own tests as they are, what happens to workers,
and a broker that is away. Beside the fixture, nothing here knows which broker it is on."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from urllib.request import urlopen
from uuid import UUID

import httpx
import pytest
from PIL import Image

from billing.models import Entry
from easel.database import platform_role
from easel.embedded import first_picture
from easel.embedded.stack import Stack
from easel_client import Easel, Generation, Webhook
from generation.models import Generation as Row
from tests.cast import Customer
from tests.chaos import proof
from tests.deploy.brokers import Broker, Rabbit, Valkey
from tests.deploy.programs import needs
from tests.deploy.rabbit import SERVER, rabbitmq
from tests.generation.conftest import Workshop, until
from tests.sdk.conftest import QUICK, easel, nothing_from_outside
from tests.sdk.test_against_easel import (
    test_a_picture_is_generated_and_saved,
    test_a_quote_binds_and_what_surrounds_it_can_be_read,
    test_a_running_generation_is_canceled,
    test_an_asynchronous_client_follows_events_and_saves,
    test_events_are_followed_to_the_end,
    test_fifty_tasks_share_one_token_and_draw_at_the_same_time,
    test_one_idempotency_key_makes_one_generation,
    test_pictures_lead_to_pictures,
    test_sealed_calls_say_nothing_in_clear,
    test_what_was_submitted_can_be_waited_for_listed_read_and_erased,
    test_words_and_pictures_are_judged_without_being_drawn,
)
from tests.sdk.town import Town, town
from tests.web.receiver import answering, receiver

__all__ = [
    "easel",
    "nothing_from_outside",
    "test_a_picture_is_generated_and_saved",
    "test_a_quote_binds_and_what_surrounds_it_can_be_read",
    "test_a_running_generation_is_canceled",
    "test_an_asynchronous_client_follows_events_and_saves",
    "test_events_are_followed_to_the_end",
    "test_fifty_tasks_share_one_token_and_draw_at_the_same_time",
    "test_one_idempotency_key_makes_one_generation",
    "test_pictures_lead_to_pictures",
    "test_sealed_calls_say_nothing_in_clear",
    "test_what_was_submitted_can_be_waited_for_listed_read_and_erased",
    "test_words_and_pictures_are_judged_without_being_drawn",
]

SLOTS = 2  # of each worker: a customer's four running jobs fill both
LONG = {"steps": 150, "width": 64, "height": 64}  # three seconds
KNOBS = {"EASEL_LEASE_SECONDS": "3", "EASEL_GRACE_SECONDS": "1", "EASEL_OUTBOUND_ALLOW": "127.0.0.1/32"}


@pytest.fixture(scope="module", params=["valkey", pytest.param("rabbitmq", marks=needs(str(SERVER)))])
def broker(request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if request.param == "valkey":
        yield Valkey(stack)
    else:
        with rabbitmq(tmp_path_factory.mktemp("rabbit")) as server:
            yield Rabbit(server)


@pytest.fixture(scope="module")
def knobs(broker: Broker) -> dict[str, str]:
    return {**KNOBS, "EASEL_BROKER_URL": broker.url}


@pytest.fixture(scope="module")
def easel_town(stack: Stack, knobs: dict[str, str]) -> Iterator[Town]:
    with town(stack, workers=2, slots=SLOTS, step_seconds=0.02, extra=knobs) as place:
        yield place


def bells(stack: Stack, pool: str, outcome: str) -> int:
    """How many the web processes rang for the pool."""
    targets = json.loads((stack.var.config / "metrics.json").read_text())
    (web,) = [each["targets"][0] for each in targets if each["labels"]["process"] == "web"]
    with urlopen(f"http://{web}/metrics", timeout=10) as answer:
        told = answer.read().decode()
    found = re.search(rf'^easel_bells_total{{outcome="{outcome}",pool="{pool}"}} (\S+)$', told, re.MULTILINE)
    return int(float(found[1])) if found else 0


def unready(stack: Stack) -> set[str]:
    """What the web says it cannot do its work without."""
    answer = httpx.get(f"{stack.base_url}/readyz", timeout=20).json()
    return {name for name, said in answer["checks"].items() if said != "ok"}


def rows(submitted: list[Generation]) -> list[Row]:
    with platform_role():
        return list(Row.objects.filter(id__in=[each.id for each in submitted]))


def charged(customer: Customer) -> list[UUID]:
    with platform_role():
        return sorted(Entry.objects.filter(tenant=customer.tenant, kind="charge").values_list("owner_id", flat=True))


def test_the_first_picture_is_drawn_for_whoever_has_the_demos_key(
    easel_town: Town, ada: Customer, tmp_path: Path
) -> None:
    """By what `make up` itself does for it."""
    base_url = easel_town.base_url
    demo = {"base_url": base_url, "access_token_url": f"{base_url}/oauth/token"}
    demo |= {"api_key": ada.key.public_id, "api_secret": ada.secret}
    (tmp_path / "demo.json").write_text(json.dumps(demo))
    first_picture.draw(tmp_path / "demo.json", tmp_path / "first.png")
    assert Image.open(tmp_path / "first.png").format == "PNG"


def test_bells_are_rung_and_heard_through_this_broker(
    easel: Easel, easel_town: Town, broker: Broker, stack: Stack
) -> None:
    rung, lost = (bells(stack, easel_town.model, outcome) for outcome in ("rung", "lost"))
    easel.generate("a red apple", steps=2)
    assert bells(stack, easel_town.model, "rung") > rung
    assert bells(stack, easel_town.model, "lost") == lost
    until(lambda: broker.lying(f"pool-{easel_town.model}") == 0, seconds=10)


def test_a_model_is_drawn_from_by_the_real_engine(
    easel: Easel, stack: Stack, workshop: Workshop, knobs: dict[str, str]
) -> None:
    extra = {"EASEL_POOLS": workshop.pool, "EASEL_TORCH_THREADS": "1", "EASEL_DEVICE": "cpu"}
    stack.start("worker", extra=knobs | extra)
    try:
        made = easel.generate("a red apple", model=workshop.model.name, steps=2, width=64, height=64)
    finally:
        stack.halt("worker")
    assert (made.status, made.model, len(made.images[0].read())) == (
        "completed", workshop.model.name, made.images[0].bytes,
    )  # fmt: skip


def test_two_customers_share_two_workers_and_pay_once(easel_town: Town, ada: Customer, bob: Customer) -> None:
    for customer in (ada, bob):
        with Easel(easel_town.base_url, customer.key.public_id, customer.secret, retry=QUICK) as easel:
            submitted = [easel.submit(f"apple {number}", steps=3) for number in range(6)]
            assert {each.wait().status for each in submitted} == {"completed"}
        assert charged(customer) == sorted(UUID(each.id) for each in submitted)


def test_a_webhook_tells_the_end_once_and_its_signature_is_good(easel: Easel) -> None:
    heard: list[tuple[dict[str, str], bytes]] = []

    def note(connection: socket, head: bytes) -> None:
        lines, _, body = head.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in lines.decode().split("\r\n")[1:])
        length = int(next(value for name, value in headers.items() if name.lower() == "content-length"))
        while len(body) < length and (part := connection.recv(65536)):
            body += part
        heard.append((headers, body))
        answering("204 No Content")(connection, head)

    with receiver(note) as (port, _):
        made = easel.generate("a red apple", steps=2, webhook_url=f"http://127.0.0.1:{port}/done")
        until(lambda: heard, seconds=30)
    ((headers, body),) = heard
    event = Webhook(easel.webhooks.default_secret()).verify(body, headers)
    assert (event.type, event.generation_id) == ("generation.completed", made.id)


def at_work(easel: Easel) -> list[Generation]:
    """Six long jobs; two of them run in each worker."""
    submitted = [easel.submit(f"apple {number}", **LONG) for number in range(6)]
    until(lambda: sum(row.status == "running" for row in rows(submitted)) == 2 * SLOTS)
    return submitted


def all_ended_well(easel: Easel, customer: Customer, submitted: list[Generation]) -> None:
    assert {easel.wait(each, timeout=90).status for each in submitted} == {"completed"}
    assert charged(customer) == sorted(UUID(each.id) for each in submitted)
    assert proof.charged_wrongly([customer.id]) == []


def test_what_a_killed_worker_was_drawing_is_drawn_by_the_other(easel: Easel, easel_town: Town, ada: Customer) -> None:
    submitted = at_work(easel)
    easel_town.send(signal.SIGKILL, worker=0)
    all_ended_well(easel, ada, submitted)
    assert 1 <= sum(row.attempts == 2 for row in rows(submitted)) <= SLOTS
    easel_town.await_workers()


def test_what_a_stopping_worker_cannot_finish_is_given_back(easel: Easel, easel_town: Town, ada: Customer) -> None:
    submitted = at_work(easel)
    easel_town.send(signal.SIGTERM, worker=1)
    all_ended_well(easel, ada, submitted)
    easel_town.await_workers()


def test_a_broker_that_is_away_costs_time_and_no_request(
    easel: Easel, easel_town: Town, broker: Broker, stack: Stack
) -> None:
    lost = bells(stack, easel_town.model, "lost")
    assert unready(stack) == set()
    broker.stop()
    try:
        until(lambda: unready(stack) == {"broker"}, seconds=20)
        assert easel.generate("a red apple", steps=2).status == "completed"  # idle workers look by themselves
        assert bells(stack, easel_town.model, "lost") > lost
    finally:
        broker.start()

    def heard_again() -> bool:
        rung = bells(stack, easel_town.model, "rung")
        easel.generate("a red apple", steps=2, reuse=False)
        return bells(stack, easel_town.model, "rung") > rung and broker.lying(f"pool-{easel_town.model}") == 0

    until(heard_again)
    until(lambda: unready(stack) == set(), seconds=20)
