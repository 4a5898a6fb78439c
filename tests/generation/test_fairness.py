"""Shares of the device: by weight where all are backlogged, at once where somebody was idle. Position and ETA tell."""

import os
import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from django.db import connections

from easel import clock
from easel.database import changed, platform_role, rows
from generation import position
from generation.models import Flow, Generation
from generation.production import Production
from generation.source import PostgresSource
from tenants.scope import tenant_scope
from tests.cast import Customer, make_customer
from tests.generation.conftest import Workshop, ended, row, until
from tests.generation.test_endings import delivery
from tests.memory_storage import MemoryStorage
from tests.stub_engine import StubEngine

source = PostgresSource()
CROWD = int(os.environ.get("EASEL_FAIRNESS_JOBS", "120"))  # the first tenant's; 1,000 in `make chaos`
WEIGHTS = (1, 2, 4)


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine(slots=4, step_seconds=0.004)


@pytest.fixture
def production(engine: StubEngine) -> Iterator[Production]:
    production = Production(source=source, engine=engine, storage=MemoryStorage())
    yield production
    production.close()


@contextmanager
def drawing(production: Production, pool: str) -> Iterator[None]:
    over = threading.Event()

    def answer() -> None:
        while not over.wait(0.005):
            production.drain(pool)
        connections.close_all()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def backlogged(
    workshop: Workshop, *, jobs: int, chance: random.Random, widths: tuple[int, ...] = (64, 128, 256)
) -> list[Customer]:
    """Three tenants of different weight, each with more to do than will be served: mixed sizes and steps."""
    customers = [make_customer(f"weight {weight}") for weight in WEIGHTS]
    for customer in customers:
        for _ in range(jobs):
            workshop.submit(customer, steps=chance.choice([2, 5, 10, 20]), width=chance.choice(widths))
    with platform_role():
        for customer, weight in zip(customers, WEIGHTS, strict=True):
            changed("UPDATE generation_flow SET weight = %s, cap = 100 WHERE tenant_id = %s", [weight, customer.id])
    return customers


def shares(works: list[float]) -> list[float]:
    """What each got for a unit of its weight, against the mean of all."""
    each = [work / weight for work, weight in zip(works, WEIGHTS, strict=True)]
    return [share / statistics.mean(each) for share in each]


def test_backlogged_tenants_get_work_by_weight_claim_by_claim(workshop: Workshop) -> None:
    customers = backlogged(workshop, jobs=60, chance=random.Random(1))
    served = dict.fromkeys((customer.id for customer in customers), 0.0)
    for _ in range(90):  # the heaviest has 60 jobs and gets four sevenths
        (job,) = source.claim(workshop.pool, limit=1)
        served[job.tenant_id] += job.work
    assert shares(list(served.values())) == pytest.approx([1, 1, 1], abs=0.1)


def test_backlogged_tenants_get_work_by_weight_from_a_worker(workshop: Workshop, production: Production) -> None:
    customers = backlogged(workshop, jobs=100, chance=random.Random(2), widths=(64,))

    def begun() -> list[float]:
        with platform_role():
            found = dict(rows("SELECT tenant_id, sum(work) FROM generation_generation WHERE status <> 'queued' "
                              "AND pool_id = %s GROUP BY tenant_id", [workshop.model.pool_id]))  # fmt: skip
        return [found[customer.id] for customer in customers]

    def ended_jobs() -> int:
        with platform_role():
            return Generation.objects.filter(pool__name=workshop.pool, status="completed").count()

    with drawing(production, workshop.pool):
        until(lambda: ended_jobs() >= 140, seconds=120)
        with platform_role():  # nobody is served any more, and the shares stand still
            changed("UPDATE generation_flow SET cap = 0 WHERE tenant_id = ANY(%s)", [[c.id for c in customers]])
            assert Flow.objects.filter(pool__name=workshop.pool, queued__gt=0).count() == 3, "one ran out of work"
        got = shares(begun())
        print(f"shares by weight, of a worker: {got}")
        assert got == pytest.approx([1, 1, 1], abs=0.1)


def test_a_late_guest_takes_the_next_slot_that_frees(
    ada: Customer, bob: Customer, workshop: Workshop, production: Production
) -> None:
    """Ada queues a crowd, then Bob 5: they take at most twice what they take alone, and the longest that runs."""
    idle = _seconds_of_five(bob, workshop, production)
    for _ in range(CROWD):
        workshop.submit(ada, steps=20)
    with drawing(production, workshop.pool):
        until(lambda: _status_count(ada, "completed") > 4)
        first_seen = time.monotonic()
        fives = [workshop.submit(bob, steps=20) for _ in range(5)]
        claimed_before = _claimed_after(ada, bob, fives[0])
        for each in fives:
            ended(each)
        took = time.monotonic() - first_seen
        assert _status_count(ada, "queued") > CROWD // 3, "the crowd was gone before: this proves nothing"
        with platform_role():
            changed("UPDATE generation_flow SET cap = 0 WHERE tenant_id = %s", [ada.id])
    # Between Bob's acceptance and his first claim, no more of Ada's began than slots had freed at that moment.
    assert claimed_before <= 1
    longest = 20 * 0.004
    print(f"five alone {idle:.2f} s, in the crowd {took:.2f} s")
    assert took <= 2 * idle + longest + 1.0  # a second for a machine with other work


def _seconds_of_five(customer: Customer, workshop: Workshop, production: Production) -> float:
    with drawing(production, workshop.pool):
        begun = time.monotonic()
        for each in [workshop.submit(customer, steps=20) for _ in range(5)]:
            ended(each)
        return time.monotonic() - begun


def _status_count(customer: Customer, status: str) -> int:
    with platform_role():
        return Generation.objects.filter(tenant=customer.tenant, status=status).count()


def _claimed_after(ada: Customer, bob: Customer, first: UUID) -> int:
    """How many of Ada's were begun after Bob's first was accepted and before it was begun."""
    until(lambda: row(first).started_at is not None)
    with platform_role():
        ((count,),) = rows(
            "SELECT count(*) FROM generation_generation a, generation_generation b WHERE b.id = %s "
            "AND a.tenant_id = %s AND a.started_at > b.created_at AND a.started_at < b.started_at",
            [first, ada.id],
        )
    return int(count)


# --- Position and ETA ------------------------------------------------------------------------------------


def test_the_position_is_the_order_of_the_claims(workshop: Workshop) -> None:
    customers = backlogged(workshop, jobs=12, chance=random.Random(3))
    told: dict[UUID, int] = {}
    for customer in customers:
        with platform_role():
            ids = list(Generation.objects.filter(tenant=customer.tenant).values_list("id", flat=True))
        for each in ids:
            with tenant_scope(customer.id):
                place = position.of(customer.id, each).queue_position
            assert place is not None
            told[each] = place
    errors = []
    for number in range(1, 37):
        (job,) = source.claim(workshop.pool, limit=1)
        errors.append(abs(told[job.generation_id] - number))
    print(f"position: mean error {statistics.mean(errors):.2f}, worst {max(errors)}")
    assert statistics.mean(errors) <= 1.5
    assert told[min(told, key=lambda each: told[each])] == 1


def test_the_eta_is_measured_and_roughly_right(workshop: Workshop, production: Production, engine: StubEngine) -> None:
    engine.step_seconds = 0.02
    customers = backlogged(workshop, jobs=40, chance=random.Random(4))
    with drawing(production, workshop.pool):
        time.sleep(0.5)  # until jobs end as they come
        clock.perform("measure_queue")
        time.sleep(1.0)
        clock.perform("measure_queue")  # now the pool's speed is known
        asked = time.time()
        told: dict[UUID, float] = {}
        for customer in customers:
            with platform_role():
                waiting = Generation.objects.filter(tenant=customer.tenant, status="queued")
                ids = list(waiting.values_list("id", flat=True))
            for each in ids[:: max(1, len(ids) // 6)]:
                status = customer.client().get(f"/v1/generations/status/{each}").json()
                if status["eta_seconds"] is not None:
                    told[each] = status["eta_seconds"]
        errors, took = [], []
        for each in told:
            ended(each, seconds=120)
        finished = rows_finished(told)
        for each, eta in told.items():
            real = finished[each] - asked
            took.append(real)
            errors.append(abs(eta - real))
    print(f"eta: median error {statistics.median(errors):.2f} s, where it took {statistics.median(took):.2f} s")
    assert len(told) > 5
    assert statistics.median(errors) <= max(2.0, statistics.median(took))


def rows_finished(told: dict[UUID, float]) -> dict[UUID, float]:
    with platform_role():
        found = rows("SELECT id, extract(epoch FROM finished_at)::float FROM generation_generation WHERE id = ANY(%s)",
                     [list(told)])  # fmt: skip
    return dict(found)


def test_another_tenants_place_is_not_told(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    generation = workshop.submit(ada)
    with tenant_scope(bob.id):
        assert position.of(bob.id, generation) == position.Place()
    assert ada.client().get(f"/v1/generations/status/{generation}").json()["queue_position"] == 1


def test_estimates_that_were_too_high_are_paid_back(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    """Ada's work is estimated ten times too high. Over time she gets her half all the same."""
    for _ in range(40):
        workshop.submit(ada, steps=100)
        workshop.submit(bob, steps=10)
    with platform_role():
        changed("UPDATE generation_flow SET cap = 1 WHERE tenant_id = ANY(%s)", [[ada.id, bob.id]])
    served = {ada.id: 0, bob.id: 0}
    for _ in range(40):
        (job,) = source.claim(workshop.pool, limit=1)
        served[job.tenant_id] += 1
        stopped_early = delivery(job, steps_run=job.steps // 10 if job.tenant_id == ada.id else job.steps)
        assert source.complete(job, [stopped_early])
    assert served[ada.id] == pytest.approx(20, abs=6)
