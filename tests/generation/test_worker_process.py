"""The worker as a process of its own: killed, stopped, deafened. Work may be delayed, never lost or charged twice."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import override_settings

from billing.models import Entry, Wallet
from easel import clock
from easel.database import platform_role
from easel.embedded.stack import Stack
from easel.embedded.var import ROOT
from generation import bell
from generation.models import Image
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, row, until

LEASE_SECONDS = "2"
LONG = {"steps": 100, "width": 256, "height": 256}  # some seconds even for the tiny model


@pytest.fixture
def start_worker(stack: Stack, workshop: Workshop) -> Iterator[Callable[[], None]]:
    """Starts the worker for this test's pool only, with short leases."""
    extra = {
        "EASEL_POOLS": workshop.pool,
        "EASEL_LEASE_SECONDS": LEASE_SECONDS,
        "EASEL_TORCH_THREADS": "1",
        "EASEL_DEVICE": "cpu",
        "EASEL_GRACE_SECONDS": "0",
    }

    def start() -> None:
        stack.start("worker", extra=extra)

    yield start
    stack.halt("worker")


@pytest.fixture
def ticking(settings_lease: None) -> Callable[[], None]:
    """One round of the clock, as its process would do it."""

    def tick() -> None:
        clock.perform("take_back_expired_leases")
        clock.perform("ring_ready_pools")

    return tick


@pytest.fixture
def settings_lease() -> Iterator[None]:
    with override_settings(LEASE_SECONDS=int(LEASE_SECONDS)):
        yield


def charges(customer: Customer) -> list[Any]:
    with platform_role():
        return list(Entry.objects.filter(tenant=customer.tenant, kind="charge"))


def test_a_bell_wakes_the_worker_and_it_draws(
    ada: Customer, workshop: Workshop, start_worker: Callable[[], None]
) -> None:
    start_worker()
    generation = workshop.submit(ada)
    assert ended(generation).status == "completed"


def test_work_queued_before_the_worker_came_is_drawn(
    ada: Customer, workshop: Workshop, start_worker: Callable[[], None]
) -> None:
    generation = workshop.submit(ada)
    start_worker()
    assert ended(generation).status == "completed"


def test_a_worker_killed_in_the_middle_is_succeeded_by_the_next_and_the_job_is_charged_once(
    ada: Customer,
    workshop: Workshop,
    stack: Stack,
    start_worker: Callable[[], None],
    ticking: Callable[[], None],
) -> None:
    start_worker()
    generation = workshop.submit(ada, **LONG)
    until(lambda: row(generation).status == "running")
    first_lease = row(generation).lease_id
    stack.kill("worker", signal.SIGKILL)

    def succeeded() -> bool:
        ticking()
        return row(generation).status == "completed"

    until(succeeded, seconds=120)
    assert row(generation).attempts == 2
    assert len(charges(ada)) == 1
    with platform_role():
        (image,) = Image.objects.filter(tenant=ada.tenant)
        assert Wallet.objects.get(tenant=ada.tenant).held == 0
    assert str(first_lease) not in image.object_key


def test_a_worker_asked_to_stop_gives_its_job_back_uncounted(
    ada: Customer, workshop: Workshop, stack: Stack, start_worker: Callable[[], None]
) -> None:
    start_worker()
    generation = workshop.submit(ada, **LONG)
    until(lambda: row(generation).status == "running")
    stack.halt("worker")
    assert (row(generation).status, row(generation).attempts) == ("queued", 0)
    assert not (stack.var.run / "worker.ready").exists()  # or the next one would seem to be there before it is
    start_worker()
    assert ended(generation, seconds=120).attempts == 1


def test_jobs_whose_bells_were_lost_are_drawn_all_the_same(
    ada: Customer, workshop: Workshop, start_worker: Callable[[], None], ticking: Callable[[], None]
) -> None:
    generations = [workshop.submit(ada) for _ in range(3)]
    redis.Redis.from_url(settings.BROKER_URL).flushall()
    start_worker()
    redis.Redis.from_url(settings.BROKER_URL).flushall()
    generations += [workshop.submit(ada) for _ in range(2)]
    redis.Redis.from_url(settings.BROKER_URL).flushall()
    ticking()
    assert {ended(each).status for each in generations} == {"completed"}
    assert len(charges(ada)) == 5


def test_doubled_bells_draw_nothing_twice(ada: Customer, workshop: Workshop, start_worker: Callable[[], None]) -> None:
    start_worker()
    generation = workshop.submit(ada)
    for _ in range(20):
        bell.ring(workshop.pool)
    assert ended(generation).status == "completed"
    assert len(charges(ada)) == 1


def test_a_worker_that_cannot_open_its_engine_ends_instead_of_answering_bells(
    stack: Stack, workshop: Workshop, tmp_path: Path
) -> None:
    sign = tmp_path / "run" / "worker.ready"
    sign.parent.mkdir()
    sign.touch()  # of an earlier start
    environment = stack.environment("worker") | {
        "EASEL_VAR": str(tmp_path), "EASEL_POOLS": workshop.pool, "EASEL_DEVICE": "cuda:99", "EASEL_METRICS_PORT": "0",
    }  # fmt: skip
    command = [sys.executable, "manage.py", "worker"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert b"cannot open its engine" in ended.stderr
    assert not sign.exists()
