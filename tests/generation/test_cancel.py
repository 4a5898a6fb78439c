"""Cancel stops my job: at once where it waits, within a step where it is drawn, and at the price of what was done."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.test import override_settings

from billing.models import Entry, Wallet
from easel import clock
from easel.database import changed, platform_role, rows
from generation import flows, stop_signs
from generation.cancel import stop
from generation.engine.loop import LoopEngine
from generation.engine.protocol import DrawingStopped, EngineError
from generation.models import DoomedObject, Flow, Generation, Image, ObjectIntent
from generation.production import Production
from generation.source import PostgresSource
from tests.aside import aside, name, wait_for_its_lock
from tests.cast import Customer, make_customer
from tests.generation.conftest import Workshop, ended, make_production, make_workshop, row, until
from tests.generation.scripted import EngineByHand

LONG = {"steps": 150, "width": 256, "height": 256}
source = PostgresSource()


def cancel(customer: Customer, generation: UUID) -> Any:
    return customer.client().post(f"/v1/generations/{generation}/cancel")


def money(customer: Customer) -> tuple[int, int]:
    with platform_role():
        wallet = Wallet.objects.get(tenant=customer.tenant)
    return wallet.available, wallet.held


def flow(customer: Customer) -> tuple[int, int]:
    with platform_role():
        return Flow.objects.values_list("queued", "running").get(tenant=customer.tenant)


@pytest.fixture
def production() -> Iterator[Production]:
    production = make_production(LoopEngine(device="cpu", threads=1))
    yield production
    production.close()


@pytest.fixture
def answering(production: Production, workshop: Workshop) -> Iterator[None]:
    """A worker that answers bells all the time."""
    over = threading.Event()

    def answer() -> None:
        while not over.wait(0.02):
            production.drain(workshop.pool)
        connections.close_all()

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    over.set()
    thread.join()


def test_what_waits_is_canceled_at_once_and_costs_nothing(ada: Customer, workshop: Workshop) -> None:
    generation = workshop.submit(ada)
    answer = cancel(ada, generation)
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert (row(generation).status, row(generation).credits) == ("canceled", 0)
    assert (money(ada), flow(ada)) == ((10_000, 0), (0, 0))
    assert source.claim(workshop.pool, limit=1) == []
    with platform_role():
        (entry,) = Entry.objects.filter(tenant=ada.tenant, owner_id=generation, kind="release")
    assert entry.status == "canceled"


def test_a_webhook_row_is_written_by_the_transaction_that_cancels(ada: Customer, workshop: Workshop) -> None:
    generation = workshop.submit(ada)
    with platform_role():
        Generation.objects.filter(id=generation).update(webhook_url="https://example.org/hook")
    assert cancel(ada, generation).status_code == 200
    with platform_role():
        told = rows("SELECT kind, payload ->> 'status' FROM tenants_webhookevent WHERE tenant_id = %s", [ada.id])
    assert told == [("generation.canceled", "canceled")]


def test_what_is_drawn_leaves_its_slot_within_a_step_and_pays_for_the_steps_that_were_run(
    ada: Customer, workshop: Workshop, answering: None
) -> None:
    generation = workshop.submit(ada, **LONG)
    until(lambda: status(ada, generation)["progress"] > 0)
    answer = cancel(ada, generation)
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    after = ended(generation, seconds=5)
    assert after.status == "canceled"
    assert 0 < after.steps_run < 150
    assert after.credits == after.quote * after.steps_run // 150
    assert after.credits < after.quote
    assert money(ada) == (10_000 - after.credits, 0)
    assert flow(ada) == (0, 0)
    with platform_role():
        assert not Image.objects.filter(tenant=ada.tenant).exists()


def test_the_worker_hears_of_it_also_when_the_message_is_lost(
    ada: Customer, workshop: Workshop, answering: None
) -> None:
    generation = workshop.submit(ada, **LONG)
    until(lambda: status(ada, generation)["progress"] > 0)
    with platform_role():
        changed("UPDATE generation_generation SET cancel_requested_at = now() WHERE id = %s", [generation])
    assert ended(generation, seconds=10).status == "canceled"


def test_a_worker_whose_cache_is_away_looks_at_its_rows(
    ada: Customer, workshop: Workshop, answering: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = workshop.submit(ada, **LONG)
    until(lambda: status(ada, generation)["progress"] > 0)
    before = stop_signs.SENT.labels("lost")._value.get()
    stop_signs.client.cache_clear()
    with override_settings(CACHE_URL="redis://127.0.0.1:1"):
        assert cancel(ada, generation).status_code == 202
    stop_signs.client.cache_clear()
    assert stop_signs.SENT.labels("lost")._value.get() == before + 1
    assert ended(generation, seconds=10).status == "canceled"


def test_images_that_were_stored_before_the_cancel_are_kept_and_paid_in_full(ada: Customer, workshop: Workshop) -> None:
    from tests.generation.test_endings import delivery

    generation = workshop.submit(ada, n=2, steps=100, width=256, height=256)  # 6.6 credits' worth of work each
    (job,) = source.claim(workshop.pool, limit=1)
    assert cancel(ada, generation).status_code == 202
    assert source.canceled([job.lease_id]) == {job.lease_id}
    assert source.cancel(job, [delivery(job, steps_run=100)], begun=[50])
    each = row(generation).quote // 2
    assert row(generation).credits == each + each * 50 // 100
    body = ada.client().get(f"/v1/generations/{generation}").json()
    assert (body["status"], len(body["images"])) == ("canceled", 1)
    with platform_role():
        assert not ObjectIntent.objects.filter(tenant=ada.tenant).exists()


def test_an_image_that_had_failed_before_the_cancel_costs_nothing(ada: Customer, workshop: Workshop) -> None:
    engine = EngineByHand(slots=3)
    with closing(make_production(engine)) as production:
        generation = workshop.submit(ada, n=2, **LONG)
        production.drain(workshop.pool)
        (spoiled, failing), (begun, stopping) = engine.admitted
        spoiled.on_step(150, 150)
        failing.set_exception(EngineError("not_a_picture", "The model's numbers overflowed (NaN).", permanent=True))
        begun.on_step(75, 150)
        cancel(ada, generation)
        until(begun.stop.is_set)
        stopping.set_exception(DrawingStopped())
        after = ended(generation)
    assert (after.status, after.steps_run) == ("canceled", 75)
    assert after.credits == after.quote // 2 * 75 // 150 > 0
    assert money(ada) == (10_000 - after.credits, 0)


def test_what_has_ended_cannot_be_canceled(ada: Customer, workshop: Workshop) -> None:
    generation = workshop.submit(ada)
    (job,) = source.claim(workshop.pool, limit=1)
    assert source.fail(job, code="engine_failed", detail="for the test")
    for _ in range(2):
        answer = cancel(ada, generation)
        assert (answer.status_code, answer.json()["code"]) == (409, "already_finished")
        assert answer.json()["generation_status"] == "failed"


def test_a_second_cancel_of_what_is_running_says_the_same(ada: Customer, workshop: Workshop) -> None:
    generation = workshop.submit(ada)
    source.claim(workshop.pool, limit=1)
    first, second = cancel(ada, generation), cancel(ada, generation)
    assert (first.status_code, first.json()) == (second.status_code, second.json())


def test_only_the_callers_own_is_canceled(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    generation = workshop.submit(ada)
    foreign, absent = cancel(bob, generation), cancel(bob, uuid4())
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
    assert foreign.json() | {"instance": ""} == absent.json() | {"instance": ""}
    assert bob.client().post("/v1/generations/cancel", {}, format="json").json()["canceled"] == []
    bob.client().post("/v1/generations/cancel", {"ids": [str(generation)]}, format="json")
    assert bob.client().delete(f"/v1/generations/{generation}").status_code == 404
    assert row(generation).status == "queued"


def test_it_takes_the_scope_to_write(workshop: Workshop) -> None:
    reader = make_customer("Reader", scopes=["generations:read"]).client()
    for answer in (
        reader.post(f"/v1/generations/{uuid4()}/cancel"),
        reader.post("/v1/generations/cancel", {}, format="json"),
        reader.delete(f"/v1/generations/{uuid4()}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


def test_a_canceled_job_whose_worker_is_lost_ends_for_nothing_and_is_not_drawn_again(
    ada: Customer, workshop: Workshop
) -> None:
    generation = workshop.submit(ada)
    source.claim(workshop.pool, limit=1)
    cancel(ada, generation)
    with platform_role():
        changed(
            "UPDATE generation_generation SET lease_expires_at = now() - interval '1 s' WHERE id = %s", [generation]
        )
    with override_settings(LEASE_SECONDS=1):
        clock.perform("take_back_expired_leases")
    assert (row(generation).status, row(generation).error_code) == ("canceled", "")
    assert (money(ada), flow(ada)) == ((10_000, 0), (0, 0))


def test_a_canceled_job_that_is_given_back_ends_instead(ada: Customer, workshop: Workshop) -> None:
    generation = workshop.submit(ada)
    (job,) = source.claim(workshop.pool, limit=1)
    cancel(ada, generation)
    assert source.give_back(job, counted=True)
    assert row(generation).status == "canceled"
    assert (money(ada), flow(ada)) == ((10_000, 0), (0, 0))


def test_a_job_that_is_sent_to_another_pool_at_this_moment_is_canceled_there(ada: Customer, workshop: Workshop) -> None:
    generation, spare = workshop.submit(ada), make_workshop("nowhere")

    def move() -> None:
        rows("SELECT 1 FROM generation_generation WHERE id = %s FOR NO KEY UPDATE", [generation])
        changed("UPDATE generation_generation SET pool_id = %s WHERE id = %s", [spare.model.pool_id, generation])
        work = row(generation).work
        flows.withdrawn(ada.id, workshop.model.pool_id, work=work)
        flows.enqueue(ada.id, spare.model.pool_id, spare.pool, work=work)

    with aside() as moving, aside() as canceling:
        moving.do(move)
        name(canceling, "a cancel")
        canceling.begin(lambda: stop(ada.id, [generation]))
        wait_for_its_lock("a cancel")
        moving.commit()
        assert canceling.answer().canceled == (generation,)
    assert row(generation).status == "canceled"
    with platform_role():
        counts = Flow.objects.filter(tenant=ada.tenant).values_list("queued", "running")
        assert set(counts) == {(0, 0)}


# --- many ------------------------------------------------------------------------------------------------


def test_many_are_canceled_by_what_they_have_in_common(ada: Customer, workshop: Workshop) -> None:
    red = [workshop.submit(ada, metadata={"job": "red", "page": str(page)}) for page in range(3)]
    blue = workshop.submit(ada, metadata={"job": "blue"})
    (job,) = source.claim(workshop.pool, limit=1)
    assert job.generation_id == red[0]
    answer = ada.client().post("/v1/generations/cancel", {"metadata": {"job": "red"}}, format="json").json()
    assert sorted(answer["canceled"]) == sorted(map(str, red[1:]))
    assert (answer["stopping"], answer["has_more"]) == ([str(red[0])], False)
    assert row(blue).status == "queued"
    assert flow(ada) == (1, 1)


def test_metadata_is_kept_and_looked_for_as_it_came(ada: Customer, workshop: Workshop) -> None:
    job = workshop.submit(ada, metadata={"line": "  red\n"})
    assert ada.client().get(f"/v1/generations/{job}").json()["metadata"] == {"line": "  red\n"}
    for line, canceled in (("red", []), ("  red\n", [str(job)])):
        body = {"metadata": {"line": line}}
        assert ada.client().post("/v1/generations/cancel", body, format="json").json()["canceled"] == canceled


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stauts": "queued"}, "stauts"),
        ({"status": "completed"}, "status"),
        ({"ids": ["1"]}, "ids"),
        ({"ids": []}, "ids"),
        ({"created_before": "yesterday"}, "created_before"),
        ({"metadata": {"job": 1}}, "metadata"),
    ],
)
def test_a_wrong_filter_is_named_and_cancels_nothing(
    ada: Customer, workshop: Workshop, body: dict[str, Any], field: str
) -> None:
    generation = workshop.submit(ada)
    answer = ada.client().post("/v1/generations/cancel", body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"].partition(".")[0]) == (400, field)
    assert row(generation).status == "queued"


def test_an_empty_filter_cancels_everything_that_is_unfinished(ada: Customer, workshop: Workshop) -> None:
    generations = [workshop.submit(ada) for _ in range(5)]
    answer = ada.client().post("/v1/generations/cancel", {}, format="json").json()
    assert sorted(answer["canceled"]) == sorted(map(str, generations))
    assert (money(ada), flow(ada)) == ((10_000, 0), (0, 0))


def test_cancels_claims_and_endings_at_once_leave_one_ending_each(ada: Customer, workshop: Workshop) -> None:
    with platform_role():
        changed("UPDATE generation_flow SET cap = 100")
    generations = [workshop.submit(ada) for _ in range(30)]

    def stop(generation: UUID) -> None:
        try:
            cancel(ada, generation)
        finally:
            connections.close_all()

    def stop_all(_: UUID) -> None:
        try:
            ada.client().post("/v1/generations/cancel", {}, format="json")
        finally:
            connections.close_all()

    def work(_: UUID) -> None:
        try:
            for job in source.claim(workshop.pool, limit=1):
                source.fail(job, code="engine_failed", detail="for the test")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as threads:
        tasks = [threads.submit(act, each) for each in generations for act in (work, stop)]
        tasks += [threads.submit(stop_all, generations[0]) for _ in range(3)]
    for task in tasks:
        task.result()
    with platform_role():
        states = set(Generation.objects.filter(tenant=ada.tenant).values_list("status", flat=True))
    assert states <= {"failed", "canceled"}
    assert (money(ada), flow(ada)) == ((10_000, 0), (0, 0))


# --- erasing ---------------------------------------------------------------------------------------------


def test_deleting_erases_images_and_words_and_keeps_the_books(
    ada: Customer, workshop: Workshop, answering: None
) -> None:
    generation = workshop.submit(ada, metadata={"name": "Ada"})
    charged = ended(generation).credits
    url = ada.client().get(f"/v1/generations/{generation}").json()["images"][0]["url"]
    with platform_role():
        key = Image.objects.get(generation=generation).object_key
    assert ada.client().delete(f"/v1/generations/{generation}").status_code == 204
    after = row(generation)
    assert (bytes(after.prompt_sealed), bytes(after.negative_prompt_sealed), after.metadata) == (b"", b"", {})
    assert money(ada) == (10_000 - (charged or 0), 0)
    with platform_role():
        assert not Image.objects.filter(generation=generation).exists()
        assert [doomed.object_key for doomed in DoomedObject.objects.filter(tenant=ada.tenant)] == [key]
    assert ada.client().get(url.removeprefix("http://testserver")).status_code == 404
    for path in ("", "status/", "result/"):
        assert ada.client().get(f"/v1/generations/{path}{generation}").status_code == 404
    assert ada.client().delete(f"/v1/generations/{generation}").status_code == 404
    assert cancel(ada, generation).status_code == 404
    assert ada.client().post(f"/v1/generations/{generation}/tickets", {}, format="json").status_code == 404


def test_deleting_what_waits_cancels_it(ada: Customer, workshop: Workshop) -> None:
    generation = workshop.submit(ada)
    assert ada.client().delete(f"/v1/generations/{generation}").status_code == 204
    assert row(generation).status == "canceled"
    assert (money(ada), flow(ada)) == ((10_000, 0), (0, 0))


def test_what_is_drawn_while_it_is_deleted_is_doomed_instead_of_adopted(ada: Customer, workshop: Workshop) -> None:
    from tests.generation.test_endings import delivery

    generation = workshop.submit(ada)
    (job,) = source.claim(workshop.pool, limit=1)
    drawn = delivery(job)
    assert ada.client().delete(f"/v1/generations/{generation}").status_code == 204
    assert source.complete(job, [drawn])
    with platform_role():
        assert not Image.objects.filter(tenant=ada.tenant).exists()
        assert [doomed.object_key for doomed in DoomedObject.objects.filter(tenant=ada.tenant)] == [drawn.object_key]
    assert row(generation).credits == 1


def status(customer: Customer, generation: UUID) -> dict[str, Any]:
    return dict(customer.client().get(f"/v1/generations/status/{generation}").json())
