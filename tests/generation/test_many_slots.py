"""Production with an engine of many slots: images of several customers are in the same model calls."""

import io
import itertools
import threading
from collections.abc import Iterator
from uuid import UUID

import numpy as np
import pytest
from django.db import connections
from django.test import Client
from numpy.typing import NDArray
from PIL import Image as PILImage

from billing.models import Entry, Wallet
from easel.database import platform_role
from generation.engine.loop import LoopEngine
from generation.models import Flow
from generation.production import Production
from generation.source import PostgresSource
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, make_production, row, until

SAMPLERS = ["Euler a", "DPM++ 2M Karras", "UniPC", "Heun", "DDIM"]
TOLERANCE = 2  # of 255


@pytest.fixture
def engine() -> LoopEngine:
    return LoopEngine(device="cpu", threads=1)  # production closes it


@pytest.fixture
def production(engine: LoopEngine) -> Iterator[Production]:
    production = make_production(engine)
    yield production
    production.close()


def wishes(at: int) -> dict[str, object]:
    return {
        "prompt": f"an apple, {at}", "seed": 100 + at, "steps": 3 + at, "cfg_scale": 2.0 + at % 3,
        "sampler": SAMPLERS[at % len(SAMPLERS)], "n": 1 + at % 2,
    }  # fmt: skip


def pictures(customer: Customer, generation: UUID) -> list[NDArray[np.uint8]]:
    images = customer.client().get(f"/v1/generations/{generation}").json()["images"]
    files = [Client().get(image["url"]).content for image in images]
    return [np.asarray(PILImage.open(io.BytesIO(file))) for file in files]


def charges(customer: Customer) -> list[UUID]:
    with platform_role():
        return sorted(Entry.objects.filter(tenant=customer.tenant, kind="charge").values_list("owner_id", flat=True))


def test_ten_mixed_jobs_of_two_customers_are_drawn_in_company_as_they_are_alone(
    ada: Customer, bob: Customer, workshop: Workshop, production: Production, engine: LoopEngine
) -> None:
    owners = [owner for owner, _ in zip(itertools.cycle((ada, bob)), range(10))]
    together = [workshop.submit(owner, **wishes(at)) for at, owner in enumerate(owners)]
    production.drain(workshop.pool)  # returns when nothing is ready, not when all is drawn
    assert any(row(each).status == "running" for each in together)
    until(lambda: drained(production, workshop, together))
    assert {row(each).status for each in together} == {"completed"}
    assert most_running_at_once(together) > 1
    assert charges(ada) == sorted(together[0::2])
    assert charges(bob) == sorted(together[1::2])

    for at, (owner, generation) in enumerate(zip(owners, together, strict=True)):
        assert ended(generation).seed == 100 + at
        alone = workshop.submit(owner, **wishes(at), reuse=False)
        production.drain(workshop.pool)
        ended(alone)
        for ours, theirs in zip(pictures(owner, generation), pictures(owner, alone), strict=True):
            assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= TOLERANCE


def test_a_stop_gives_back_what_is_not_finished(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    production = make_production(LoopEngine(device="cpu", threads=1))
    short = workshop.submit(ada, steps=1)
    long = [workshop.submit(owner, steps=150, width=256, height=256, n=2) for owner in (ada, bob)]
    bell = threading.Thread(target=answer_bell, args=(production, workshop))
    bell.start()
    ended(short)
    until(lambda: all(row(generation).status == "running" for generation in long))
    production.close()
    bell.join(timeout=30)
    assert not bell.is_alive()
    assert row(short).status == "completed"
    assert [(row(each).status, row(each).attempts) for each in long] == [("queued", 0)] * 2
    assert (charges(ada), charges(bob)) == ([short], [])
    with platform_role():
        assert set(Flow.objects.filter(tenant__in=[ada.tenant, bob.tenant]).values_list("queued", "running")) == {
            (1, 0)
        }
        assert Wallet.objects.get(tenant=bob.tenant).held > 0
    assert PostgresSource().ready(workshop.pool)


def answer_bell(production: Production, workshop: Workshop) -> None:
    production.drain(workshop.pool)
    connections.close_all()


def drained(production: Production, workshop: Workshop, generations: list[UUID]) -> bool:
    """Answer the bell that rings when a customer who had all it may have drawn at once gets another turn."""
    production.drain(workshop.pool)
    return all(row(each).status not in {"queued", "running"} for each in generations)


def most_running_at_once(generations: list[UUID]) -> int:
    """By their times of beginning and ending."""
    spans = [(row(each).started_at, row(each).finished_at) for each in generations]
    return max(sum(begun <= moment < finished for begun, finished in spans) for moment, _ in spans)
