"""Easel's one port, and a worker that draws whatever comes in: the clients here know how to wait, and nothing else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from easel.database import platform_role
from generation import rehearsal
from generation.models import Generation
from tenants import keys
from tests.cast import Customer
from tests.generation.conftest import Workshop, make_production, make_workshop
from tests.moderation.scripted import ScriptedJudge
from tests.stub_engine import StubEngine
from tests.web.live import easel_served
from tests.web.test_logs import lines  # noqa: F401  a fixture


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with easel_served() as port:
        yield port


@pytest.fixture
def workshop() -> Workshop:
    """What it draws from needs no files."""
    return make_workshop("nowhere", digest="5" * 64)


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine()


@pytest.fixture
def studio(workshop: Workshop, engine: StubEngine) -> Iterator[StubEngine]:
    """Draws in the background, as a worker does; a picture is as gray as its seed."""
    with drawing(workshop, engine):
        yield engine


@contextmanager
def drawing(workshop: Workshop, engine: StubEngine) -> Iterator[None]:
    production = make_production(engine, judge=ScriptedJudge())
    try:
        with _again_and_again(lambda: production.drain(workshop.pool)):
            yield
    finally:
        production.close()


@pytest.fixture
def rehearsing() -> Iterator[None]:
    """Ends the generations of test keys, as the clock does."""
    with _again_and_again(rehearsal.end_rehearsals):
        yield


@contextmanager
def _again_and_again(act: Callable[[], object]) -> Iterator[None]:
    over = Event()

    def work() -> None:
        with platform_role():
            while not over.wait(0.02):
                act()
        connections.close_all()

    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def word(customer: Customer) -> str:
    """The key as one string."""
    return f"{customer.key.public_id}.{customer.secret}"


def another_key(customer: Customer, *, mode: str = "live", without: str = "") -> Customer:
    """The same tenant by another key."""
    with platform_role():
        key, secret = keys.mint(customer.tenant, name="another", mode=mode, scopes=keys.SCOPES.keys() - {without})
    return Customer(customer.tenant, key, secret)


def of(customer: Customer) -> list[Generation]:
    """The tenant's generations, newest first."""
    with platform_role():
        return list(Generation.objects.select_related("model").filter(tenant=customer.tenant).order_by("-id"))


def soon(found: Callable[[], Any], seconds: float = 20) -> Any:
    """What is found, once there is something."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
    return value


def unfinished(customer: Customer) -> UUID | None:
    return next((each.id for each in of(customer) if each.status in {"queued", "running"}), None)
