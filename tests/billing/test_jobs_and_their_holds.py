"""Every ending of a generation ends its hold, at the price that docs/billing.md states."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from billing import ledger, reconciliation
from easel.database import changed, platform_role
from easel.identifiers import new_id
from generation.jobs import Delivery, Job
from generation.models import Generation, Model
from generation.registry import register
from generation.source import PostgresSource
from tests.billing.purses import Purse, purse
from tests.cast import Customer
from tests.moderation.scripted import HARMLESS

OPENING = 10_000
source = PostgresSource()


@pytest.fixture
def model() -> Model:
    """In a pool of its own, so that claims take what the test submitted."""
    name = f"jobs-{new_id().hex}"
    with platform_role():
        return register(name, "jobs", pool=name[:40], title="Jobs")


@pytest.fixture(autouse=True)
def _adds_up() -> Iterator[None]:
    yield
    with platform_role():
        found = reconciliation.run()
    assert found["finished_generations_hold_nothing"] == []


def submitted(customer: Customer, model: Model, **fields: Any) -> UUID:
    body = {"prompt": "apple", "model": model.name, "steps": 20, "width": 512, "height": 512, "n": 4}
    answer = customer.client().post("/v1/generations", body | {"sampler": "Euler"} | fields, format="json")
    assert answer.status_code == 202, answer.content
    return UUID(answer.json()["id"])


def claimed(model: Model) -> Job:
    (job,) = source.claim(model.pool.name, limit=1)
    return job


def delivery(job: Job, index: int, *, steps_run: int = 20) -> Delivery:
    return Delivery(
        index=index, seed=index, width=512, height=512, content_type="image/png", bytes=1, sha256="0" * 64,
        object_key=source.intend(job, index, "png"), steps_run=steps_run, seconds=0.1, judgment=HARMLESS,
    )  # fmt: skip


def ended(generation: UUID) -> tuple[str, int | None]:
    with platform_role():
        row = Generation.objects.get(id=generation)
    return row.status, row.credits


def test_all_images_stored_cost_the_quote(ada: Customer, model: Model) -> None:
    generation = submitted(ada, model)
    assert purse(ada.id) == Purse(OPENING - 24, 24)
    job = claimed(model)
    assert source.complete(job, [delivery(job, index) for index in range(4)])
    assert ended(generation) == ("completed", 24)
    assert purse(ada.id) == Purse(OPENING - 24, 0)


def test_only_stored_images_are_charged(ada: Customer, model: Model) -> None:
    generation = submitted(ada, model)
    job = claimed(model)
    assert source.complete(job, [delivery(job, 0), delivery(job, 2)])
    assert ended(generation) == ("completed", 12)
    assert purse(ada.id) == Purse(OPENING - 12, 0)


def test_saved_steps_are_not_charged(ada: Customer, model: Model) -> None:
    generation = submitted(ada, model)
    job = claimed(model)
    assert source.complete(job, [delivery(job, index, steps_run=10) for index in range(4)])
    assert ended(generation) == ("completed", 12)


def test_a_failure_costs_nothing(ada: Customer, model: Model) -> None:
    generation = submitted(ada, model)
    assert source.fail(claimed(model), code="engine_failed", detail="for the test")
    assert ended(generation) == ("failed", 0)
    assert purse(ada.id) == Purse(OPENING, 0)


def test_a_worker_that_comes_back_too_late_charges_nothing_more(ada: Customer, model: Model) -> None:
    generation = submitted(ada, model)
    first = claimed(model)
    assert source.give_back(first, counted=True)
    second = claimed(model)
    assert source.complete(second, [delivery(second, index) for index in range(4)])
    assert not source.complete(first, [delivery(first, index) for index in range(4)])
    assert not source.fail(first, code="engine_failed", detail="too late")
    assert ended(generation) == ("completed", 24)
    assert purse(ada.id) == Purse(OPENING - 24, 0)


def test_usage_tells_key_model_and_images_of_a_generation(ada: Customer, model: Model) -> None:
    submitted(ada, model)
    job = claimed(model)
    source.complete(job, [delivery(job, 0), delivery(job, 1)])
    (told,) = ada.client().get("/v1/usage?group_by=key,model,status").json()["data"]
    assert told == {
        "key": ada.key.public_id, "model": model.name, "status": "completed",
        "generations": 1, "images": 2, "charged": 12, "refunded": 0, "credits": 12,
    }  # fmt: skip


def test_a_job_whose_hold_is_gone_and_a_hold_whose_job_is_over_are_noticed(ada: Customer, model: Model) -> None:
    generation = submitted(ada, model)
    with platform_role():
        changed("UPDATE generation_generation SET status = 'failed' WHERE id = %s", [generation])
        found = reconciliation.run(tenant_id=ada.id)
        assert [each.what for each in found["finished_generations_hold_nothing"]] == [f"hold of {generation}"]
        changed("UPDATE generation_generation SET status = 'queued' WHERE id = %s", [generation])
        ledger.release(ada.id, generation)
        found = reconciliation.run(tenant_id=ada.id)
        assert [each.what for each in found["unfinished_generations_hold_their_quote"]] == [f"generation {generation}"]
        changed("UPDATE generation_generation SET status = 'failed' WHERE id = %s", [generation])
