"""Earlier results answer equal requests of the same tenant, at the cached price, while they may be shown."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from prometheus_client import REGISTRY

from billing.models import Entry
from easel.database import changed, platform_role
from generation import cache, erasure, registry, sharing
from generation.cache import Memory
from generation.copies import Original
from generation.models import CachedResult, Image
from generation.source import PostgresSource
from tenants import data_policy
from tests.cast import Customer
from tests.generation.conftest import Workshop, row
from tests.generation.test_endings import delivery, flow, money

source = PostgresSource()
WISH: dict[str, Any] = {"seed": 11, "steps": 100, "width": 512, "height": 512}


@pytest.fixture(autouse=True)
def _no_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_judges", [])


@pytest.fixture
def drawn(ada: Customer, workshop: Workshop) -> UUID:
    return draw(ada, workshop)


def draw(customer: Customer, workshop: Workshop, **fields: Any) -> UUID:
    generation = workshop.submit(customer, **{**WISH, **fields})
    (job,) = source.claim(workshop.pool, limit=1)
    assert job.generation_id == generation
    assert source.complete(job, [delivery(job, index, steps_run=100) for index in range(job.n)])
    return generation


def ask(customer: Customer, workshop: Workshop, **fields: Any) -> Any:
    return customer.client().post("/v1/generations", workshop.body(**{**WISH, **fields}), format="json")


def lookups(level: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("easel_cache_lookups_total", {"level": level, "outcome": outcome}) or 0.0


def test_the_same_request_is_answered_at_once_and_says_so(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    answer = ask(ada, workshop)
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "completed"
    assert body["cached"] is True
    assert body["id"] != str(drawn)
    assert len(body["images"]) == 1
    first = ada.client().get(f"/v1/generations/{drawn}").json()
    assert first["cached"] is False
    assert body["images"][0]["sha256"] == first["images"][0]["sha256"]
    assert [body[field] for field in ("model_version", "steps_run", "seed", "prompt")] == [
        first[field] for field in ("model_version", "steps_run", "seed", "prompt")
    ]
    assert flow(ada) == (0, 0)


def test_it_costs_the_plans_cached_price_and_nothing_is_held(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    body = ask(ada, workshop).json()
    full = row(drawn).credits
    assert full
    assert body["credits"] == body["quote"]["credits"] == -(-full // 10)
    assert money(ada) == (10_000 - full - body["credits"], 0)
    with platform_role():
        (charge,) = Entry.objects.filter(owner_id=body["id"], kind="charge")
        assert (charge.generations, charge.images) == (1, 1)


def test_its_images_count_as_delivered_once_it_is_committed(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    before = delivered()
    assert ask(ada, workshop).status_code == 200
    assert delivered() == before + 1
    client, body, once = ada.client(), workshop.body(**WISH), {"Idempotency-Key": "once"}
    for _ in range(2):  # the second changes nothing
        assert client.post("/v1/generations", body, format="json", headers=once).status_code == 200
    assert delivered() == before + 2


def delivered() -> float:
    return REGISTRY.get_sample_value("easel_images_delivered_total") or 0.0


def test_who_cannot_pay_is_not_answered(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    from billing import ledger

    with platform_role():
        ledger.take(ada.id, 10**9, operation_id="take:all", partial=True)
    answer = ask(ada, workshop)
    assert answer.status_code == 402
    with platform_role():
        assert Image.objects.filter(tenant=ada.tenant).count() == 1


@pytest.mark.parametrize(
    "other",
    [{"seed": 12}, {"prompt": "a green apple"}, {"steps": 99}, {"width": 256}, {"cfg_scale": 3.0}, {"n": 2},
     {"format": "webp"}, {"sampler": "Euler"}, {"negative_prompt": "blur"}, {"reuse": False}, {"seed": None}],
    ids=str,
)  # fmt: skip
def test_whatever_decides_the_pixels_makes_another_request(
    ada: Customer, workshop: Workshop, drawn: UUID, other: dict[str, Any]
) -> None:
    assert ask(ada, workshop, **other).status_code == 202


@pytest.mark.parametrize("name", ["seal_images", "prompts_in_files", "own_certificate"])
def test_what_was_made_before_a_wish_for_ones_files_changed_answers_nothing(
    ada: Customer, workshop: Workshop, drawn: UUID, name: str
) -> None:
    assert ask(ada, workshop).status_code == 200
    wish(ada, **{name: True})
    assert ask(ada, workshop).status_code == 202
    (job,) = source.claim(workshop.pool, limit=1)
    assert source.complete(job, [delivery(job, 0, steps_run=100)])
    assert ask(ada, workshop).json()["cached"] is True, "made as it is wanted now"
    wish(ada, **{name: False})
    with platform_role():
        cache.forget(ada.id, [drawn])
    assert ask(ada, workshop).status_code == 202, "and not as it was wanted then"


def test_nobody_waits_for_a_drawing_that_was_begun_under_another_wish(ada: Customer, workshop: Workshop) -> None:
    leader = workshop.submit(ada, **WISH)
    assert row(workshop.submit(ada, **WISH)).draws_with == leader
    wish(ada, seal_images=True)
    assert row(workshop.submit(ada, **WISH)).draws_with is None


def wish(customer: Customer, **wishes: bool) -> None:
    with platform_role():
        data_policy.change(customer.id, **wishes)


def test_metadata_decides_nothing(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    answer = ask(ada, workshop, metadata={"order": "4711"})
    assert answer.status_code == 200
    assert answer.json()["metadata"] == {"order": "4711"}


def test_reuse_takes_the_newest_of_any_seed(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    newer = draw(ada, workshop, seed=12)
    body = ask(ada, workshop, seed=None, reuse=True).json()
    assert (body["cached"], body["seed"]) == (True, 12)
    assert str(row(UUID(body["id"])).cached_from) == str(newer)


def test_another_tenant_is_never_answered(ada: Customer, bob: Customer, workshop: Workshop, drawn: UUID) -> None:
    assert ask(bob, workshop).status_code == 202


def test_each_level_answers_what_the_one_above_forgot(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    seen = []
    for forget in (lambda: None, lambda: None, cache._memory.clear):
        forget()
        before = {level: lookups(level, "hit") for level in ("memory", "valkey", "store")}
        assert ask(ada, workshop).status_code == 200
        seen.append([level for level, count in before.items() if lookups(level, "hit") > count])
    assert seen == [["store"], ["memory"], ["valkey"]]


def test_a_result_that_was_forgotten_answers_nobody_in_any_process(
    ada: Customer, workshop: Workshop, drawn: UUID
) -> None:
    ask(ada, workshop)
    notes = dict(cache._memory._known)
    with platform_role():
        assert cache.forget(ada.id, [drawn]) == 1
    cache._memory._known.update(notes)  # another process has not heard of it
    assert ask(ada, workshop).status_code == 202


def test_a_picture_that_was_taken_down_answers_nobody(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    ask(ada, workshop)
    with platform_role():
        changed("UPDATE generation_image SET released_at = NULL WHERE generation_id = %s", [drawn])
    answer = ask(ada, workshop)
    assert answer.status_code == 202


def test_an_erased_generation_answers_nobody(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    ask(ada, workshop)
    erasure.erase(ada.id, drawn)
    assert ask(ada, workshop).status_code == 202


def test_a_copy_outlives_the_original(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    copy = ask(ada, workshop).json()["id"]
    erasure.erase(ada.id, drawn)
    with platform_role():
        assert not changed("SELECT 1 FROM generation_doomedobject WHERE tenant_id = %s", [ada.id])
    assert len(ada.client().get(f"/v1/generations/{copy}").json()["images"]) == 1


def test_of_two_that_are_erased_at_the_same_moment_the_last_takes_the_file_along(
    ada: Customer, workshop: Workshop, drawn: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = UUID(ask(ada, workshop).json()["id"])
    both, forget = Barrier(2), cache.forget

    def forget_together(*given: Any) -> None:
        """The last thing that an erasure does: each waits here for the other, unless that waits for its lock."""
        with suppress(BrokenBarrierError):
            both.wait(timeout=1)
        forget(*given)

    def erase(generation_id: UUID) -> bool:
        try:
            return erasure.erase(ada.id, generation_id)
        finally:
            connections.close_all()

    monkeypatch.setattr(cache, "forget", forget_together)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(erase, [drawn, copy])) == [True, True]
    with platform_role():
        assert changed("SELECT 1 FROM generation_doomedobject WHERE tenant_id = %s", [ada.id]) == 1


def test_a_new_revision_of_the_model_draws_anew(
    ada: Customer, workshop: Workshop, drawn: UUID, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests import tiny

    changed_files = tiny.build(tmp_path_factory.mktemp("other"), seed=1)
    with platform_role():
        registry.register(workshop.model.name, str(changed_files), pool=workshop.pool)
        assert not CachedResult.objects.filter(model=workshop.model).exists()
    assert ask(ada, workshop).status_code == 202


def test_a_keys_stricter_policy_is_asked_before_anything_is_handed_over(
    ada: Customer, workshop: Workshop, drawn: UUID
) -> None:
    asked: list[UUID] = []

    def judge(tenant_id: UUID, key_id: UUID | None, original: Original) -> sharing.Verdict:
        asked.append(original.generation_id)
        return "block"

    sharing.on_reuse(judge)
    assert ask(ada, workshop).status_code == 202
    assert asked[0] == drawn


def test_an_idempotent_repetition_finds_the_cached_answer(ada: Customer, workshop: Workshop, drawn: UUID) -> None:
    client, body = ada.client(), workshop.body(**WISH)
    first, second = (
        client.post("/v1/generations", body, format="json", headers={"Idempotency-Key": "once"}) for _ in range(2)
    )
    assert first.status_code == second.status_code == 200
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotent-Replayed"] == "true"


def test_the_first_level_forgets_the_least_recently_used_and_what_is_old() -> None:
    tenant, ids = UUID(int=1), [UUID(int=number) for number in range(10, 14)]
    memory = Memory(at_most=2, seconds=60)
    memory.put(tenant, b"a", ids[0])
    memory.put(tenant, b"b", ids[1])
    assert memory.get(tenant, b"a") == ids[0]
    memory.put(tenant, b"c", ids[2])
    assert [memory.get(tenant, key) for key in (b"a", b"b", b"c")] == [ids[0], None, ids[2]]
    assert memory.get(UUID(int=2), b"a") is None
    short = Memory(seconds=0)
    short.put(tenant, b"a", ids[0])
    assert short.get(tenant, b"a") is None
