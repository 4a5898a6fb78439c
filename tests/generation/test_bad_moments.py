"""The store, the database or the broker are away for a moment, or the worker is stopped: what was drawn is brought home
all the same, once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import IO, Any

import pytest
from django.conf import settings
from django.db import OperationalError, connections
from django.test import override_settings

from billing.models import Entry
from easel import metrics
from easel.database import changed, platform_role
from easel.storage import ObjectStream, StorageRefused, StorageUnavailable
from generation import bell, finishing, inputs
from generation.engine.protocol import DeviceLost
from generation.jobs import Job
from generation.models import DoomedObject, Generation, Image, ObjectIntent
from generation.production import Production
from generation.rounds import Rounds
from generation.source import PostgresSource
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, row, until
from tests.generation.scripted import EngineByHand
from tests.generation.test_given_pictures import a_picture
from tests.memory_storage import MemoryStorage
from tests.stub_engine import StubEngine


@pytest.fixture
def store() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine(slots=8, step_seconds=0.002)


@pytest.fixture
def production(engine: StubEngine, store: MemoryStorage) -> Iterator[Production]:
    production = Production(source=PostgresSource(), engine=engine, storage=store)
    yield production
    store.broken = False
    production.close()


@contextmanager
def draining(production: Production, pool: str) -> Iterator[None]:
    """A worker that answers bells all the time."""
    over = threading.Event()

    def answer() -> None:
        while not over.wait(0.01):
            production.drain(pool)
        connections.close_all()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def charges(customer: Customer) -> int:
    with platform_role():
        return Entry.objects.filter(tenant=customer.tenant, kind="charge").count()


def retries(doing: str) -> float:
    return metrics.FINISHING_RETRIES.labels(doing)._value.get()


def test_what_was_drawn_waits_for_the_store_and_is_not_drawn_again(
    ada: Customer, workshop: Workshop, production: Production, engine: StubEngine, store: MemoryStorage
) -> None:
    store.broken = True
    before = retries("upload")
    generations = [workshop.submit(ada, n=2) for _ in range(3)]
    production.drain(workshop.pool)
    until(lambda: retries("upload") > before + 8)
    assert {row(each).status for each in generations} == {"running"}
    store.broken = False
    assert {(ended(each).status, row(each).attempts) for each in generations} == {("completed", 1)}
    assert engine.drawn == 6
    assert charges(ada) == 3
    with platform_role():
        assert Image.objects.filter(tenant=ada.tenant).count() == len(store.objects) == 6
        assert not ObjectIntent.objects.filter(tenant=ada.tenant).exists()


def test_no_more_is_drawn_than_can_wait_in_memory(
    ada: Customer, workshop: Workshop, production: Production, engine: StubEngine, store: MemoryStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(finishing, "MOST_WAITING", 4)
    store.broken = True
    generations = [workshop.submit(ada) for _ in range(20)]
    with platform_role():
        changed("UPDATE generation_flow SET cap = 100 WHERE tenant_id = %s", [ada.id])
    with draining(production, workshop.pool):
        until(lambda: engine.drawn >= 4)
        time.sleep(0.5)
        assert engine.drawn <= 4 + engine.slots
        with platform_role():
            waiting = Generation.objects.filter(tenant=ada.tenant, status="queued").count()
        assert waiting >= 20 - 4 - engine.slots  # others may draw them
        store.broken = False
        assert {ended(each).status for each in generations} == {"completed"}


class Forgetful(PostgresSource):
    """Its database is away for the first so many statements of an ending; `written` loses the answer, not the write."""

    def __init__(self, failures: int, *, written: bool = False) -> None:
        self.failures, self.written = failures, written

    def complete(self, job: Job, deliveries: Any) -> bool:
        if self.failures:
            self.failures -= 1
            if self.written:
                super().complete(job, deliveries)
            raise OperationalError("server closed the connection unexpectedly")
        return super().complete(job, deliveries)


@pytest.mark.parametrize("written", [False, True])
def test_an_ending_is_written_again_until_the_database_is_back_and_counts_once(
    ada: Customer, workshop: Workshop, store: MemoryStorage, engine: StubEngine, written: bool
) -> None:
    production = Production(source=Forgetful(3, written=written), engine=engine, storage=store)
    generation = workshop.submit(ada)
    production.drain(workshop.pool)
    after = ended(generation)
    until(lambda: not production._held)
    production.close()
    assert (after.status, after.attempts, engine.drawn, charges(ada)) == ("completed", 1, 1, 1)
    with platform_role():
        assert Image.objects.filter(tenant=ada.tenant).count() == 1
        assert not DoomedObject.objects.filter(tenant=ada.tenant).exists()


def test_a_late_result_is_dropped_and_its_objects_are_doomed_at_once(
    ada: Customer, workshop: Workshop, production: Production, store: MemoryStorage
) -> None:
    store.broken = True
    generation = workshop.submit(ada)
    production.drain(workshop.pool)
    until(lambda: row(generation).status == "running")
    with platform_role():  # as if the lease had run out and somebody else had claimed it
        changed("UPDATE generation_generation SET lease_id = gen_random_uuid() WHERE id = %s", [generation])
    before = metrics.LATE_RESULTS._value.get()
    store.broken = False
    until(lambda: metrics.LATE_RESULTS._value.get() > before)

    def doomed() -> bool:
        with platform_role():
            return DoomedObject.objects.filter(tenant=ada.tenant).count() == 1

    until(doomed)
    with platform_role():
        assert not ObjectIntent.objects.filter(tenant=ada.tenant).exists()
        assert not Image.objects.filter(tenant=ada.tenant).exists()
    assert (row(generation).status, charges(ada)) == ("running", 0)


class Watching(MemoryStorage):
    """It sees which connection to the database its caller holds."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []

    def put(self, key: str, data: bytes | IO[bytes], content_type: str) -> None:
        self.seen.append(connections["platform"].connection)
        super().put(key, data, content_type)


def test_an_upload_that_may_take_long_holds_no_connection_to_the_database(
    ada: Customer, workshop: Workshop, engine: StubEngine
) -> None:
    store = Watching()
    with closing(Production(source=PostgresSource(), engine=engine, storage=store)) as production:
        generation = workshop.submit(ada, n=2)
        production.drain(workshop.pool)
        assert ended(generation).status == "completed"
    assert store.seen == [None, None]


class Picky(MemoryStorage):
    """It never takes the first image of a job; `refusal` is what happens to the second one."""

    refusal: Exception | None = None

    def put(self, key: str, data: bytes | IO[bytes], content_type: str) -> None:
        if "-0." in key:
            raise StorageUnavailable(key)
        if self.refusal is not None:
            raise self.refusal
        super().put(key, data, content_type)


def test_an_image_that_a_store_never_takes_though_it_answers_fails_its_job_after_the_last_attempt(
    ada: Customer, workshop: Workshop, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generation.finishing.PATIENCE_SECONDS", 0.1)
    generation = workshop.submit(ada, n=2)
    with closing(Production(source=PostgresSource(), engine=engine, storage=Picky())) as production:
        for _ in range(settings.MAX_ATTEMPTS):
            production.drain(workshop.pool)
            until(lambda: production.standing()["jobs"] == 0)
    after = row(generation)
    assert (after.status, after.error_code, charges(ada)) == ("failed", "attempts_exhausted", 0)


def test_no_image_waits_for_a_store_once_another_of_its_job_has_failed(
    ada: Customer, workshop: Workshop, engine: StubEngine
) -> None:
    store = Picky()
    store.refusal = StorageRefused("too large")
    generation = workshop.submit(ada, n=2)
    with closing(Production(source=PostgresSource(), engine=engine, storage=store)) as production:
        production.drain(workshop.pool)
        until(lambda: production.standing()["jobs"] == 0, seconds=10)
        assert (row(generation).status, row(generation).attempts) == ("queued", 1)


# --- Given pictures that the store does not hand out -----------------------------------------------------


class Unreadable(MemoryStorage):
    """It takes all, and gives nothing back."""

    def stream(self, key: str, span: tuple[int, int] | None = None) -> ObjectStream:
        raise StorageUnavailable(key)


@pytest.fixture
def deprived(engine: StubEngine) -> Iterator[Production]:
    production = Production(source=PostgresSource(), engine=engine, storage=Unreadable())
    yield production
    production.close()


@pytest.fixture
def given(ada: Customer) -> str:
    return str(inputs.store(a_picture(), tenant_id=ada.id).id)


def test_a_given_picture_that_cannot_be_read_keeps_the_next_job_waiting_for_a_while_only(
    ada: Customer, workshop: Workshop, deprived: Production, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generation.production.FETCH_SECONDS", 0.1)
    stuck, other = workshop.submit(ada, init_image=given), workshop.submit(ada)
    with draining(deprived, workshop.pool):
        assert ended(other).status == "completed"
    after = row(stuck)
    assert (after.status, after.error_code, after.attempts) == ("failed", "attempts_exhausted", settings.MAX_ATTEMPTS)


def test_a_cancel_is_heard_while_a_given_picture_cannot_be_read(
    ada: Customer, workshop: Workshop, deprived: Production, given: str
) -> None:
    generation, before = workshop.submit(ada, init_image=given), retries("fetch")
    with draining(deprived, workshop.pool):
        until(lambda: retries("fetch") > before)
        ada.client().post(f"/v1/generations/{generation}/cancel")
        assert ended(generation, seconds=5).status == "canceled"
    assert charges(ada) == 0


def test_a_stop_does_not_wait_for_a_given_picture_that_cannot_be_read(
    ada: Customer, workshop: Workshop, deprived: Production, given: str
) -> None:
    generation, before = workshop.submit(ada, init_image=given), retries("fetch")
    with draining(deprived, workshop.pool):
        until(lambda: retries("fetch") > before + 1)
        begun = time.monotonic()
        deprived.close()
        assert time.monotonic() - begun < 2.0
    assert (row(generation).status, row(generation).attempts) == ("queued", 0)


# --- A clean stop ----------------------------------------------------------------------------------------


def test_a_stop_finishes_what_fits_into_the_grace_period_and_gives_back_the_rest_at_once(
    ada: Customer, workshop: Workshop, production: Production, engine: StubEngine
) -> None:
    engine.step_seconds = 0.05
    short, long = workshop.submit(ada, steps=20), workshop.submit(ada, steps=150)
    production.drain(workshop.pool)
    time.sleep(0.4)
    begun = time.monotonic()
    production.close(grace=4.0)
    assert time.monotonic() - begun < 4.0
    assert (row(short).status, row(short).attempts) == ("completed", 1)
    assert (row(long).status, row(long).attempts) == ("queued", 0)
    assert charges(ada) == 1


def test_a_lost_device_costs_an_attempt_also_where_not_all_images_were_begun(
    ada: Customer, workshop: Workshop, store: MemoryStorage
) -> None:
    engine = EngineByHand(slots=1)
    production = Production(source=PostgresSource(), engine=engine, storage=store)
    generation = workshop.submit(ada, n=2)
    with draining(production, workshop.pool):
        until(lambda: engine.admitted)
        engine.admitted[0][1].set_exception(DeviceLost())
        production.close()
    assert (row(generation).status, row(generation).attempts) == ("queued", 1)


def test_what_waits_for_a_store_that_is_away_is_given_back_by_a_stop(
    ada: Customer, workshop: Workshop, production: Production, store: MemoryStorage
) -> None:
    store.broken = True
    generation = workshop.submit(ada)
    production.drain(workshop.pool)
    until(lambda: row(generation).status == "running")
    time.sleep(0.3)
    production.close(grace=0.5)
    assert (row(generation).status, row(generation).attempts) == ("queued", 0)


def test_a_store_that_outlasts_all_patience_costs_a_job_no_attempt(
    ada: Customer, workshop: Workshop, production: Production, store: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generation.finishing.PATIENCE_SECONDS", 0.3)
    store.broken = True
    generation = workshop.submit(ada)
    for _ in range(settings.MAX_ATTEMPTS + 1):
        production.drain(workshop.pool)
        until(lambda: row(generation).status == "queued")
    assert row(generation).attempts == 0
    store.broken = False
    production.drain(workshop.pool)
    assert ended(generation).status == "completed"
    assert charges(ada) == 1


# --- Bells -----------------------------------------------------------------------------------------------


def outcome(pool: str, kind: str) -> float:
    return bell.RUNG.labels(pool, kind)._value.get()


def test_bells_that_nobody_has_taken_yet_are_one(ada: Customer, workshop: Workshop) -> None:
    for _ in range(10):
        workshop.submit(ada)
    assert (outcome(workshop.pool, "rung"), outcome(workshop.pool, "coalesced")) == (1, 9)


def test_a_worker_that_hears_no_bell_looks_by_itself(
    ada: Customer, workshop: Workshop, production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generation.rounds.EVERY_SECONDS", 0.1)
    monkeypatch.setattr(bell, "broker", _unreachable)
    rounds = Rounds(production, [workshop.pool])
    rounds.start()
    before = outcome(workshop.pool, "lost")
    generation = workshop.submit(ada)
    assert outcome(workshop.pool, "lost") == before + 1
    assert ended(generation).status == "completed"
    rounds.close()


class Hiccuping(PostgresSource):
    """Its database is away when it is first asked whether there is more to do."""

    failures = 1

    def ready(self, pool: str) -> bool:
        if self.failures:
            self.failures -= 1
            raise OperationalError("server closed the connection unexpectedly")
        return super().ready(pool)


def test_what_was_claimed_just_before_the_database_was_away_is_drawn_at_the_next_round(
    ada: Customer, workshop: Workshop, store: MemoryStorage
) -> None:
    generation = workshop.submit(ada)
    with closing(Production(source=Hiccuping(), engine=StubEngine(slots=1), storage=store)) as production:
        with pytest.raises(OperationalError):
            production.drain(workshop.pool)
        assert row(generation).status == "running"
        production.answer(workshop.pool)
        assert (ended(generation, seconds=10).status, row(generation).attempts) == ("completed", 1)


def test_a_worker_without_a_cache_goes_on_drawing(ada: Customer, workshop: Workshop, store: MemoryStorage) -> None:
    with override_settings(CACHE_URL="redis://127.0.0.1:1"):
        production = Production(source=PostgresSource(), engine=StubEngine(), storage=store)
        rounds = Rounds(production, [workshop.pool])
        rounds.start()
        generation = workshop.submit(ada)
        production.drain(workshop.pool)
        assert ended(generation).status == "completed"
        rounds.close()
        production.close()


def _unreachable() -> Callable[[], Any]:
    raise ConnectionError("the broker is away")
