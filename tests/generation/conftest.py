"""A workshop of one's own: each test gets a pool and a model that no other test draws from."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from easel.database import platform_role
from easel.storage import storage
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Engine
from generation.models import Generation, Model
from generation.production import Production
from generation.registry import register
from generation.source import PostgresSource
from tests import tiny
from tests.cast import Customer
from tests.tenants.people import let_in, person


@dataclass(frozen=True)
class Workshop:
    """A pool with one model, and requests that fit it."""

    model: Model

    @property
    def pool(self) -> str:
        return self.model.pool.name

    def body(self, **fields: Any) -> dict[str, Any]:
        return {"prompt": "a red apple", "model": self.model.name, "steps": 2, "width": 64, "height": 64} | fields

    def submit(self, customer: Customer, **fields: Any) -> UUID:
        answer = customer.client().post("/v1/generations", self.body(**fields), format="json")
        assert answer.status_code == 202, answer.content
        return UUID(answer.json()["id"])


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def workshop(tiny_folder: Path) -> Workshop:
    return make_workshop(str(tiny_folder))


def make_workshop(source: str, **fields: Any) -> Workshop:
    name = f"test-{uuid4().hex[:12]}"
    with platform_role():
        return Workshop(register(name, source, pool=name, title=name, **fields))


@pytest.fixture
def browser(ada: Customer) -> Client:
    """A developer of Ada's in the console."""
    return let_in(person(ada.tenant, "developer"))


@pytest.fixture
def production() -> Iterator[Production]:
    """The worker's side in this process, on the real database and the real store."""
    production = make_production(LoopEngine(device="cpu", threads=1))
    yield production
    production.close()


def make_production(engine: Engine, **judges: Any) -> Production:
    return Production(source=PostgresSource(), engine=engine, storage=storage(), **judges)


def row(generation_id: UUID) -> Generation:
    with platform_role():
        return Generation.objects.get(id=generation_id)


def ended(generation_id: UUID, *, seconds: float = 60) -> Generation:
    """The generation once it has ended."""
    until(lambda: row(generation_id).status not in {"queued", "running"}, seconds=seconds)
    return row(generation_id)


def until(happened: Callable[[], object], *, seconds: float = 60) -> None:
    """Wait for a condition; fail if it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
