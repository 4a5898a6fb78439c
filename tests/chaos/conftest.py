"""A town on the suite's own services, whose lines can be cut: web, two workers, two clocks, all through proxies."""

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import UUID, uuid4

import pytest

from easel.database import platform_role
from easel.embedded.stack import Stack
from generation.models import Generation
from generation.registry import register
from tests.cast import Customer, make_customer
from tests.chaos.town import Town

OUTAGE_SECONDS = int(os.environ.get("EASEL_OUTAGE_SECONDS", "4"))
LEASE_SECONDS = OUTAGE_SECONDS * 3 // 2  # an outage that a lease outlives costs nobody a second attempt


class Client:
    """A customer's program, over HTTP."""

    def __init__(self, town: Town, customer: Customer, model: str) -> None:
        self.town, self.customer, self.model = town, customer, model
        self._token = customer.token()

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(self.town.base_url + path, data, headers, method=method), timeout=20) as answer:
                return int(answer.status), json.loads(answer.read() or b"{}")
        except HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")
        except (URLError, OSError):
            return 0, {}

    def read(self, path: str) -> dict[str, Any]:
        status, answer = _again(lambda: self.call("GET", path))
        assert status == 200, (status, answer)
        return answer

    def ask(self, **fields: Any) -> tuple[int, dict[str, Any]]:
        body = {"prompt": "a cat", "model": self.model, "steps": 5, "width": 64, "height": 64}
        return self.call("POST", "/v1/generations", body | fields)

    def asked(self, **fields: Any) -> UUID:
        status, answer = _again(lambda: self.ask(**fields))
        assert status == 202, (status, answer)
        return UUID(answer["id"])


def _again(act: Callable[[], tuple[int, dict[str, Any]]]) -> tuple[int, dict[str, Any]]:
    """After an outage each pooled connection is found dead once."""
    status, answer = act()
    for _ in range(8):
        if status != 503:
            break
        status, answer = act()
    return status, answer


def state(generation: UUID) -> Generation:
    with platform_role():
        return Generation.objects.get(id=generation)


def wait_for(happened: Callable[[], object], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def completed(generation: UUID, *, seconds: float = 60) -> Generation:
    wait_for(lambda: state(generation).status not in {"queued", "running"}, seconds=seconds)
    assert state(generation).status == "completed", (state(generation).status, state(generation).error_detail)
    return state(generation)


@pytest.fixture(scope="module")
def town(stack: Stack) -> Iterator[Town]:
    pool = f"town-{uuid4().hex[:8]}"
    with platform_role():
        register(pool, "nowhere", pool=pool, title="Town")
    knobs = {
        "EASEL_LEASE_SECONDS": str(LEASE_SECONDS), "EASEL_GRACE_SECONDS": "1", "CHAOS_SLOTS": "4",
        "CHAOS_STEP_SECONDS": "0.02",
    }  # fmt: skip
    town = Town(stack, pool=pool, knobs=knobs)
    try:
        town.start()
        yield town
    finally:
        town.stop()


@pytest.fixture
def client(town: Town) -> Iterator[Client]:
    yield Client(town, make_customer("Town"), town.pool)
    for proxy in town.proxies.values():
        proxy.heal()
    town.wait()
