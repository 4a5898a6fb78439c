"""Every job comes to exactly one ending, and money follows it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import override_settings

from billing import ledger
from billing.models import Entry, Wallet
from easel import clock
from easel.database import changed, platform_role
from easel.identifiers import new_id
from easel.storage import Storage, StorageRefused, storage
from generation import duties
from generation.engine.protocol import Drawn, EngineError
from generation.jobs import Delivery, Job
from generation.models import DoomedObject, Flow, Image, ObjectIntent
from generation.production import Production
from generation.source import PostgresSource
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, make_production, make_workshop, row
from tests.generation.scripted import EngineByHand
from tests.moderation.scripted import HARMLESS

source = PostgresSource()


@pytest.fixture
def job(ada: Customer, workshop: Workshop) -> Job:
    workshop.submit(ada, n=2)
    (job,) = source.claim(workshop.pool, limit=1)
    return job


def delivery(job: Job, index: int = 0, **fields: Any) -> Delivery:
    key = source.intend(job, index, "png")
    known: dict[str, Any] = {
        "index": index, "seed": 1, "width": 64, "height": 64, "content_type": "image/png", "bytes": 3,
        "sha256": "0" * 64, "object_key": key, "steps_run": 2, "seconds": 0.1, "judgment": HARMLESS,
    }  # fmt: skip
    return Delivery(**known | fields)


def money(customer: Customer) -> tuple[int, int]:
    with platform_role():
        wallet = Wallet.objects.get(tenant=customer.tenant)
        entries = Entry.objects.filter(tenant=customer.tenant).values_list("available_delta", "held_delta")
        sums = [sum(column) for column in zip(*entries, strict=True)]
    assert sums == [wallet.available, wallet.held]
    return wallet.available, wallet.held


def flow(customer: Customer) -> tuple[int, int]:
    with platform_role():
        flow = Flow.objects.get(tenant=customer.tenant)
    return flow.queued, flow.running


def test_completed_charges_what_was_delivered_and_releases_the_rest(ada: Customer, job: Job) -> None:
    assert money(ada) == (9_998, 2)
    assert source.complete(job, [delivery(job)])
    assert money(ada) == (9_999, 0)
    assert row(job.generation_id).credits == 1
    assert flow(ada) == (0, 0)
    with platform_role():
        assert not ObjectIntent.objects.filter(tenant=ada.tenant).exists()


def test_images_that_failed_for_good_are_told_of_beside_those_that_are_there(ada: Customer, workshop: Workshop) -> None:
    engine, green = EngineByHand(slots=3), np.zeros((64, 64, 3), dtype=np.uint8)
    green[..., 1] = 120
    with closing(make_production(engine)) as production:
        generation = workshop.submit(ada, n=2)
        production.drain(workshop.pool)
        (_, failing), (_, drawn) = engine.admitted
        failing.set_exception(EngineError("not_a_picture", "The model's numbers overflowed (NaN).", permanent=True))
        drawn.set_result(Drawn(pixels=green, steps_run=2, seconds=0.1))
        after = ended(generation)
    assert (after.status, after.warnings) == ("completed", ["1 of 2 images could not be drawn (not_a_picture)."])
    assert money(ada) == (9_999, 0)


def test_failed_charges_nothing_and_says_why(ada: Customer, job: Job) -> None:
    assert source.fail(job, code="model_unavailable", detail="The folder is gone.")
    assert money(ada) == (10_000, 0)
    answer = ada.client().get(f"/v1/generations/status/{job.generation_id}").json()
    assert answer["status"] == "failed"
    assert answer["error"] == {"code": "model_unavailable", "detail": "The folder is gone."}


def test_a_second_ending_changes_nothing(ada: Customer, job: Job) -> None:
    assert source.complete(job, [delivery(job)])
    before = money(ada)
    assert not source.complete(job, [delivery(job, 1)])
    assert not source.fail(job, code="engine_failed", detail="")
    assert not source.give_back(job, counted=True)
    assert (money(ada), flow(ada)) == (before, (0, 0))
    with platform_role():
        assert Image.objects.filter(tenant=ada.tenant).count() == 1


def test_a_late_result_is_dropped_after_somebody_else_took_over(ada: Customer, workshop: Workshop, job: Job) -> None:
    expire(job)
    clock.perform("take_back_expired_leases")
    (second,) = source.claim(workshop.pool, limit=1)
    assert (second.generation_id, second.attempts) == (job.generation_id, 2)
    assert source.renew([job.lease_id, second.lease_id]) == {second.lease_id}
    assert not source.complete(job, [delivery(job)])
    assert source.complete(second, [delivery(second), delivery(second, 1)])
    assert money(ada) == (9_998, 0)


def test_an_expired_lease_puts_the_job_back_at_no_cost_to_its_flow(ada: Customer, job: Job) -> None:
    expire(job)
    with platform_role():
        paid = Flow.objects.get(tenant=ada.tenant).vtime
    clock.perform("take_back_expired_leases")
    assert row(job.generation_id).status == "queued"
    assert flow(ada) == (1, 0)
    with platform_role():
        assert Flow.objects.get(tenant=ada.tenant).vtime < paid
    assert money(ada) == (9_998, 2)


def test_a_lease_that_is_renewed_is_left_alone(job: Job) -> None:
    assert source.renew([job.lease_id]) == {job.lease_id}
    clock.perform("take_back_expired_leases")
    assert row(job.generation_id).status == "running"


def test_a_job_that_loses_every_worker_fails_and_is_released(ada: Customer, workshop: Workshop, job: Job) -> None:
    for _ in range(3):
        expire(job)
        clock.perform("take_back_expired_leases")
        source.claim(workshop.pool, limit=1)
    assert (row(job.generation_id).status, row(job.generation_id).error_code) == ("failed", "attempts_exhausted")
    assert (money(ada), flow(ada)) == ((10_000, 0), (0, 0))


def test_however_many_leases_have_expired_one_round_takes_them_back(
    ada: Customer, workshop: Workshop, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duties, "BATCH", 1)
    for _ in range(2):
        workshop.submit(ada)
    jobs = [job, *source.claim(workshop.pool, limit=2)]
    for each in jobs:
        expire(each)
    clock.perform("take_back_expired_leases")
    assert [row(each.generation_id).status for each in jobs] == ["queued"] * 3


def test_a_job_whose_hold_is_gone_keeps_nobody_elses_from_being_taken_back(
    ada: Customer, workshop: Workshop, job: Job
) -> None:
    for _ in range(2):
        workshop.submit(ada)
    others = source.claim(workshop.pool, limit=2)
    with platform_role():
        changed("UPDATE generation_generation SET attempts = 3 WHERE id = %s", [job.generation_id])
        ledger.release(ada.id, job.generation_id)
    try:
        for each in (job, *others):
            expire(each)
        assert clock.perform("take_back_expired_leases") >= len(others)
        assert [row(each.generation_id).status for each in others] == ["queued"] * 2
        assert row(job.generation_id).status == "running"
    finally:
        with platform_role():
            ended = "UPDATE generation_generation SET status = 'canceled', finished_at = now(), lease_id = NULL, "
            changed(ended + "lease_expires_at = NULL WHERE id = %s", [job.generation_id])


def test_a_clean_stop_is_not_counted_as_an_attempt(workshop: Workshop, job: Job) -> None:
    assert source.give_back(job, counted=False)
    (again,) = source.claim(workshop.pool, limit=1)
    assert again.attempts == 1
    assert source.give_back(again, counted=True)
    (once_more,) = source.claim(workshop.pool, limit=1)
    assert once_more.attempts == 2


def test_objects_nobody_adopted_are_removed_by_the_clock(ada: Customer, job: Job) -> None:
    key = source.intend(job, 0, "png")
    storage().put(key, b"png", "image/png")
    clock.perform("remove_leftover_objects")
    assert storage().exists(key)  # an upload may be under way
    with platform_role():
        changed(
            "UPDATE generation_objectintent SET created_at = now() - interval '2 hours' WHERE object_key = %s", [key]
        )
    clock.perform("remove_leftover_objects")
    assert storage().exists(key), "its job's other images are still being drawn"
    source.give_back(job, counted=True)
    clock.perform("remove_leftover_objects")
    assert not storage().exists(key)
    with platform_role():
        assert not ObjectIntent.objects.filter(tenant=ada.tenant).exists()
        assert not DoomedObject.objects.filter(tenant=ada.tenant).exists()


def doom(customer: Customer, count: int) -> list[str]:
    """Objects that no row refers to any more, the oldest first."""
    doomed = [f"t/{customer.id}/g/{new_id()}/0-1.png" for _ in range(count)]
    for key in doomed:
        storage().put(key, b"png", "image/png")
        with platform_role():
            DoomedObject.objects.create(tenant=customer.tenant, object_key=key)
    return doomed


def waiting(customer: Customer) -> list[str]:
    with platform_role():
        return list(DoomedObject.objects.filter(tenant=customer.tenant).values_list("object_key", flat=True))


def test_however_many_objects_are_to_go_one_round_removes_them(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duties, "BATCH", 2)
    doomed = doom(ada, 5)
    clock.perform("remove_leftover_objects")
    assert not any(map(storage().exists, doomed))
    assert waiting(ada) == []


def test_an_object_that_the_store_does_not_give_up_keeps_no_other(
    ada: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.perform("remove_leftover_objects")
    (kept,), (other,) = doom(ada, 1), doom(ada, 1)
    delete = type(storage()).delete

    def unwilling(store: Storage, key: str) -> None:
        if key == kept:
            raise StorageRefused(f"cannot delete {key}: AccessDenied")
        delete(store, key)

    monkeypatch.setattr(type(storage()), "delete", unwilling)
    monkeypatch.setattr(duties, "BATCH", 1)
    for _ in range(2):  # it goes to the end of the line
        clock.perform("remove_leftover_objects")
    assert waiting(ada) == [kept]
    assert not storage().exists(other)
    assert duties.DOOMED_OBJECTS._value.get() >= 1


@pytest.fixture
def missing_model(tmp_path: Path) -> Workshop:
    return make_workshop(str(tmp_path / "nowhere"))


def test_a_missing_model_fails_the_job_with_a_clear_code_and_charges_nothing(
    ada: Customer, missing_model: Workshop, production: Production
) -> None:
    generation = missing_model.submit(ada)
    production.drain(missing_model.pool)
    failed = ended(generation)
    assert (failed.status, failed.error_code) == ("failed", "model_unavailable")
    assert money(ada) == (10_000, 0)


def test_a_corrupt_model_fails_the_job_with_a_clear_code(
    ada: Customer, tiny_folder: Path, tmp_path: Path, production: Production
) -> None:
    folder = tmp_path / "corrupt"
    folder.mkdir()
    for file in tiny_folder.rglob("*"):
        if file.is_file():
            (folder / file.relative_to(tiny_folder)).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.relative_to(tiny_folder)).write_bytes(file.read_bytes())
    workshop = make_workshop(str(folder))
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100] + bytes(100))
    generation = workshop.submit(ada)
    production.drain(workshop.pool)
    assert ended(generation).error_code == "model_unavailable"
    assert money(ada) == (10_000, 0)


def expire(job: Job) -> None:
    with platform_role():
        changed(
            "UPDATE generation_generation SET lease_expires_at = now() - interval '1 second' "
            "WHERE id = %s AND status = 'running'",
            [job.generation_id],
        )


@pytest.fixture(autouse=True)
def _postgres_has_been_up_for_long() -> Iterator[None]:
    """The suite's Postgres is young: without this, expired leases would be left alone for one lease length."""
    with override_settings(LEASE_SECONDS=1):
        yield
