"""/readyz says which service is missing, to nobody why; and it asks each of them no more often than it must."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings

from easel import health
from easel.embedded.stack import Stack

NOWHERE = "redis://:hunter2@127.0.0.1:1/0"


@pytest.fixture
def unseen() -> Iterator[None]:
    health._readiness.cache_clear()
    yield
    health._readiness.cache_clear()


def test_everything_is_ready(stack: Stack, unseen: None) -> None:
    response = Client().get("/readyz")
    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
    assert response.json() == {
        "status": "ready",
        "checks": {"postgres": "ok", "cache": "ok", "broker": "ok", "storage": "ok"},
    }


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ({"CACHE_URL": NOWHERE}, "cache"),
        ({"BROKER_URL": NOWHERE}, "broker"),
        ({"BROKER_URL": "amqp://easel:hunter2@127.0.0.1:1"}, "broker"),
        ({"DATABASES": {**settings.DATABASES, "default": {**settings.DATABASES["default"], "PORT": "1"}}}, "postgres"),
        (
            {"DATABASES": {**settings.DATABASES, "default": {**settings.DATABASES["default"], "PASSWORD": "x"}}},
            "postgres",
        ),
    ],
)
def test_a_missing_service_is_named_and_nothing_else_is_told(
    stack: Stack, unseen: None, broken: dict[str, Any], name: str
) -> None:
    with override_settings(**broken, DATABASE_ALIAS="default"):
        response = Client().get("/readyz")
    assert response.status_code == 503
    told = response.json()
    assert told["status"] == "unavailable"
    assert [check for check, state in told["checks"].items() if state == "failing"] == [name]
    assert "hunter2" not in response.content.decode()


def test_checks_run_side_by_side() -> None:
    together = threading.Barrier(3, timeout=5)

    def check() -> None:
        together.wait()

    readiness = health.Readiness(dict.fromkeys("abc", check))
    assert readiness.failing() == frozenset()


def test_many_askers_cost_one_look() -> None:
    looks: list[float] = []
    readiness = health.Readiness({"storage": lambda: looks.append(time.monotonic())})
    askers = [threading.Thread(target=readiness.failing) for _ in range(20)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(looks) == 1


def test_a_service_that_comes_back_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FRESH_SECONDS", 0.0)
    answers = iter([OSError("away"), None])

    def check() -> None:
        error = next(answers)
        if error is not None:
            raise error

    readiness = health.Readiness({"broker": check})
    assert [readiness.failing(), readiness.failing()] == [frozenset({"broker"}), frozenset()]


def test_only_reading_methods_are_answered(unseen: None) -> None:
    response = Client().post("/readyz")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response["Allow"] == "GET, HEAD"
