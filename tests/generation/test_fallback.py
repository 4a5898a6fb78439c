"""A model that fails is left alone; its fallback draws within one request, disclosed, unless the caller says no."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import override_settings
from prometheus_client import REGISTRY

from billing.models import Hold
from easel import breaker as breakers
from easel import clock
from easel.database import changed, platform_role
from easel.embedded.stack import Stack
from easel.valkey import Patience, client
from generation import availability, rerouting
from generation.engine.protocol import EngineError
from generation.models import CachedResult, Flow, Model, ModelAccess
from generation.production import Production
from generation.source import PostgresSource
from tenants import delivery as webhook_delivery
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, make_production, make_workshop, row
from tests.generation.scripted import EngineByHand, ScriptedEngine
from tests.generation.test_endings import delivery, flow, money

FAILURES = 3
LARGE = {"seed": 3, "steps": 100, "width": 512, "height": 512}  # of a price that shows the models' factors


@pytest.fixture(autouse=True)
def _quick_breaker() -> Iterator[None]:
    with override_settings(BREAKER_FAILURES=FAILURES, BREAKER_OPEN_SECONDS=2, REROUTE_SECONDS=5):
        yield


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def production(engine: ScriptedEngine) -> Iterator[Production]:
    production = make_production(engine)
    yield production
    production.close()


@pytest.fixture
def spare(tiny_folder: Path) -> Workshop:
    return make_workshop(str(tiny_folder), factor=0.5)


@pytest.fixture
def shop(tiny_folder: Path, spare: Workshop) -> Workshop:
    """Its model has the spare one as its fallback."""
    return make_workshop(str(tiny_folder), fallback=spare.model)


@pytest.fixture
def neighbor(tiny_folder: Path, shop: Workshop) -> Workshop:
    """Its cheaper model is drawn by the shop's workers too."""
    neighbor = make_workshop(str(tiny_folder), factor=0.5)
    change(neighbor, pool=shop.model.pool)
    return neighbor


@pytest.fixture
def without_cache(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Takes the cache away when it is called; it is back when the test has ended."""
    monkeypatch.setattr(breakers, "_patience", Patience())
    yield lambda: stack.halt("cache")
    stack.start("cache")
    client().close()


def change(shop: Workshop, **fields: Any) -> None:
    with platform_role():
        Model.objects.filter(id=shop.model.id).update(**fields)
        shop.model.refresh_from_db()


def ask(customer: Customer, shop: Workshop, **fields: Any) -> Any:
    return customer.client().post("/v1/generations", shop.body(**fields), format="json")


def fall_ill(customer: Customer, shop: Workshop, engine: ScriptedEngine, production: Production) -> None:
    settle(lambda: production.standing()["jobs"] == 0)  # what was drawn well has been told to the breaker
    engine.ill.add(shop.model.name)
    for _ in range(FAILURES):
        generation = shop.submit(customer)
        production.drain(shop.pool)
        assert ended(generation).error_code == "model_unavailable"
    settle(lambda: ask(customer, shop, fallback=False).status_code == 503)


def shut(shop: Workshop) -> None:
    for _ in range(FAILURES):
        availability.report(shop.model.id, uuid4(), label="model:test", ok=False)


def reroute(customer: Customer) -> None:
    """The clock comes by, and all that waits has waited for long."""
    with platform_role():
        changed(
            "UPDATE generation_generation SET created_at = now() - interval '1 min' WHERE tenant_id = %s", [customer.id]
        )
    clock.perform("reroute_waiting_jobs")


def in_pool(customer: Customer, shop: Workshop) -> tuple[int, int]:
    with platform_role():
        flow = Flow.objects.get(tenant=customer.tenant, pool=shop.model.pool)
    return flow.queued, flow.running


def waiting_work(customer: Customer, shop: Workshop) -> float:
    with platform_role():
        return Flow.objects.get(tenant=customer.tenant, pool=shop.model.pool).waiting_work


def settle(happened: Any, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sample(name: str, model: Model, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"name": f"model:{model.name}", **labels}) or 0.0


def test_the_breaker_opens_the_fallback_serves_a_probe_goes_out_and_it_closes(
    ada: Customer, shop: Workshop, spare: Workshop, engine: ScriptedEngine, production: Production
) -> None:
    fall_ill(ada, shop, engine, production)
    assert sample("easel_breaker_turns_total", shop.model, to="open") == 1
    clock.perform("count_open_breakers")
    assert sample("easel_breaker_open", shop.model) == 1

    answer = ask(ada, shop)  # the very next request
    assert answer.status_code == 202
    body = answer.json()
    assert (body["model"], body["asked_model"], body["fallback_from"]) == (
        spare.model.name, shop.model.name, shop.model.name,
    )  # fmt: skip
    production.drain(spare.pool)
    assert ended(UUID(body["id"])).status == "completed"

    engine.ill.clear()
    drawn = engine.asked.count(shop.model.name)
    settle(lambda: ask(ada, shop).json()["fallback_from"] is None)  # the first request after the pause is the probe
    assert ask(ada, shop).json()["fallback_from"] == shop.model.name, "while the probe is out"
    production.drain(shop.pool)
    settle(lambda: sample("easel_breaker_turns_total", shop.model, to="closed") == 1)
    assert engine.asked.count(shop.model.name) == drawn + 1
    assert sample("easel_breaker_probes_total", shop.model) == 1
    assert ask(ada, shop).json()["fallback_from"] is None
    clock.perform("count_open_breakers")
    assert sample("easel_breaker_open", shop.model) == 0


def test_a_claim_asks_nothing_of_the_webhook_hosts_that_are_dead(
    ada: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        host = webhook_delivery._breaker(ada.id, f"https://dead-{number}.example.org/hook")
        for _ in range(5):
            host.report("", ok=False)
        assert host.state().open
    asked, ask = list[str](), client().execute_command

    def counted(*given: Any, **options: Any) -> Any:
        asked.append(str(given[0]))
        return ask(*given, **options)

    monkeypatch.setattr(client(), "execute_command", counted)
    availability.shut()
    assert asked.count("EVALSHA") <= 1
    assert not [each for each in breakers.standing() if each.name.startswith("webhook:")]


def test_who_allows_no_fallback_is_refused_at_once_for_nothing(
    ada: Customer, shop: Workshop, engine: ScriptedEngine, production: Production
) -> None:
    fall_ill(ada, shop, engine, production)
    before = money(ada)
    answer = ask(ada, shop, fallback=False)
    assert (answer.status_code, answer.json()["code"]) == (503, "model_unavailable")
    assert 1 <= int(answer.headers["Retry-After"]) <= 3
    assert money(ada) == before


def test_with_no_fallback_or_an_ill_one_the_answer_is_503(
    ada: Customer, spare: Workshop, shop: Workshop, engine: ScriptedEngine, production: Production
) -> None:
    with override_settings(BREAKER_OPEN_SECONDS=60):
        fall_ill(ada, spare, engine, production)
        assert ask(ada, spare).status_code == 503
        fall_ill(ada, shop, engine, production)
        assert ask(ada, shop).status_code == 503


def test_a_request_that_does_not_fit_the_fallback_takes_no_probe_of_it(
    ada: Customer, shop: Workshop, spare: Workshop
) -> None:
    change(spare, max_size=64)
    shut(spare)
    settle(lambda: availability.breaker_of(spare.model.id).state().due)
    with override_settings(BREAKER_OPEN_SECONDS=60):
        shut(shop)
        assert ask(ada, shop, width=128).status_code == 503
        assert availability.breaker_of(spare.model.id).state().probe == ""
        assert ask(ada, shop).json()["fallback_from"] == shop.model.name, "who fits is the probe"


def test_the_fallback_costs_the_lower_of_both_prices(
    ada: Customer, shop: Workshop, spare: Workshop, engine: ScriptedEngine, production: Production
) -> None:
    large = {"steps": 100, "width": 512, "height": 512}
    asked = ask(ada, shop, **large).json()["quote"]["credits"]
    production.drain(shop.pool)
    fall_ill(ada, shop, engine, production)
    assert ask(ada, shop, **large).json()["quote"]["credits"] < asked


def test_earlier_results_of_a_model_that_fails_are_still_answered(
    ada: Customer, shop: Workshop, engine: ScriptedEngine, production: Production
) -> None:
    first = shop.submit(ada, seed=5)
    production.drain(shop.pool)
    assert ended(first).status == "completed"
    fall_ill(ada, shop, engine, production)
    answer = ask(ada, shop, seed=5)
    assert (answer.status_code, answer.json()["cached"], answer.json()["fallback_from"]) == (200, True, None)


def test_queued_jobs_of_a_model_that_fails_wait_and_then_go_to_the_fallback_if_they_may(
    ada: Customer, shop: Workshop, spare: Workshop, engine: ScriptedEngine, production: Production
) -> None:
    patient, loyal = shop.submit(ada, seed=3), shop.submit(ada, fallback=False)
    follower = shop.submit(ada, seed=3)
    shut(shop)
    production.drain(shop.pool)
    assert engine.asked == [], "nobody claims for a model that is left alone"
    assert flow(ada) == (2, 0)
    clock.perform("reroute_waiting_jobs")
    assert row(patient).fallback_from == "", "it has not waited long enough"
    reroute(ada)
    assert (row(patient).model_id, row(patient).fallback_from) == (spare.model.id, shop.model.name)
    assert row(loyal).model_id == shop.model.id
    production.drain(spare.pool)
    assert ended(patient).status == "completed"
    clock.perform("serve_left_followers")
    assert (row(follower).status, row(follower).fallback_from) == ("completed", shop.model.name)
    with platform_role():
        assert set(Hold.objects.filter(tenant=ada.tenant, ended_at=None).values_list("owner_id", flat=True)) == {loyal}
    money(ada)


def test_a_restricted_fallback_takes_the_waiting_jobs_of_those_alone_who_may_use_it(
    ada: Customer, bob: Customer, shop: Workshop, spare: Workshop
) -> None:
    change(spare, restricted=True)
    without, entitled = shop.submit(ada), shop.submit(bob)
    with platform_role():
        ModelAccess.objects.create(tenant=bob.tenant, model=spare.model)
    with override_settings(BREAKER_OPEN_SECONDS=60), pytest.MonkeyPatch.context() as patch:
        patch.setattr(rerouting, "BATCH", 1)
        shut(shop)
        for customer in (ada, bob):
            reroute(customer)
    assert (row(without).model_id, row(without).fallback_from) == (shop.model.id, "")
    assert (row(entitled).model_id, row(entitled).fallback_from) == (spare.model.id, shop.model.name)


def test_another_tenants_model_takes_no_waiting_jobs(
    ada: Customer, bob: Customer, shop: Workshop, spare: Workshop
) -> None:
    change(spare, tenant=bob.tenant)
    foreign, own = shop.submit(ada), shop.submit(bob)
    with override_settings(BREAKER_OPEN_SECONDS=60):
        shut(shop)
        for customer in (ada, bob):
            reroute(customer)
    assert row(foreign).model_id == shop.model.id
    assert row(own).model_id == spare.model.id


def test_a_fallback_of_the_same_pool_corrects_the_work_that_waits(
    ada: Customer, shop: Workshop, neighbor: Workshop
) -> None:
    change(shop, fallback=neighbor.model)
    generation = shop.submit(ada, **LARGE)
    before = waiting_work(ada, shop)
    with override_settings(BREAKER_OPEN_SECONDS=60):
        shut(shop)
        reroute(ada)
    assert waiting_work(ada, shop) == pytest.approx(row(generation).work)
    assert row(generation).work < before
    assert in_pool(ada, shop) == (1, 0)
    (job,) = PostgresSource().claim(shop.pool, limit=1)
    assert (job.generation_id, job.model_name) == (generation, neighbor.model.name)
    assert waiting_work(ada, shop) == pytest.approx(0)


def test_without_the_cache_a_worker_draws_others_and_leaves_the_model_alone_that_failed_here(
    ada: Customer, shop: Workshop, neighbor: Workshop, engine: ScriptedEngine, production: Production,
    without_cache: Callable[[], None],
) -> None:  # fmt: skip
    left, other = shop.submit(ada), neighbor.submit(ada)
    claims = REGISTRY.get_sample_value("easel_claims_total", {"outcome": "work"}) or 0.0
    without_cache()
    with override_settings(BREAKER_OPEN_SECONDS=60):
        shut(shop)
        production.drain(shop.pool)
    assert ended(other).status == "completed"
    assert engine.asked == [neighbor.model.name]
    assert row(left).status == "queued"
    assert REGISTRY.get_sample_value("easel_claims_total", {"outcome": "work"}) == claims + 1, "not claimed in vain"


def test_who_takes_over_what_the_fallback_draws_pays_for_that_and_says_so(
    ada: Customer, shop: Workshop, spare: Workshop
) -> None:
    source = PostgresSource()
    leader, heir, follower = (shop.submit(ada, **LARGE) for _ in range(3))
    full = row(heir).quote
    with override_settings(BREAKER_OPEN_SECONDS=60):
        shut(shop)
        reroute(ada)
    (job,) = source.claim(spare.pool, limit=1)
    assert (job.generation_id, job.quote < full) == (leader, True)
    ada.client().post(f"/v1/generations/{leader}/cancel")

    taken = row(heir)
    assert (taken.status, taken.lease_id) == ("running", job.lease_id)
    assert (taken.model_id, taken.pool_id, taken.fallback_from) == (
        spare.model.id, spare.model.pool_id, shop.model.name,
    )  # fmt: skip
    assert (taken.work, taken.quote) == (job.work, job.quote)
    assert (taken.fingerprint, taken.seedless) == (None, None)
    clock.perform("recount_flows")
    assert (in_pool(ada, shop), in_pool(ada, spare)) == ((0, 0), (0, 1))

    assert source.complete(job, [delivery(job, steps_run=100)])
    clock.perform("serve_left_followers")
    assert (row(heir).status, row(heir).credits) == ("completed", job.quote)
    assert in_pool(ada, spare) == (0, 0)
    assert (row(follower).status, row(follower).fallback_from) == ("completed", shop.model.name)
    assert row(follower).credits == -(-job.quote // 10)  # 10 percent on the suite's plan, rounded up
    assert money(ada)[1] == 0
    with platform_role():
        assert not CachedResult.objects.filter(tenant=ada.tenant).exists()


def test_each_of_equal_requests_says_for_itself_whether_a_fallback_drew_it(
    ada: Customer, shop: Workshop, spare: Workshop
) -> None:
    source = PostgresSource()
    with override_settings(BREAKER_OPEN_SECONDS=60):
        shut(shop)
        sent, chosen, sent_too, chosen_too = (each.submit(ada, seed=3) for each in (shop, spare) * 2)
    (job,) = source.claim(spare.pool, limit=1)
    assert {row(each).draws_with for each in (chosen, sent_too, chosen_too)} == {sent}
    ada.client().post(f"/v1/generations/{sent}/cancel")
    assert row(chosen).fallback_from == ""
    assert source.complete(job, [delivery(job)])
    assert [(row(each).status, row(each).fallback_from) for each in (chosen, sent_too, chosen_too)] == [
        ("completed", ""), ("completed", shop.model.name), ("completed", ""),
    ]  # fmt: skip


def test_a_probe_that_is_canceled_while_it_waits_makes_way_for_another(ada: Customer, shop: Workshop) -> None:
    with override_settings(BREAKER_OPEN_SECONDS=0):  # a probe is due at once
        shut(shop)
        probe = UUID(ask(ada, shop, fallback=False).json()["id"])
        assert ask(ada, shop, fallback=False).status_code == 503
        ada.client().post(f"/v1/generations/{probe}/cancel")
        assert ask(ada, shop, fallback=False).status_code == 202


def test_a_probe_that_cannot_be_drawn_for_what_it_asked_for_makes_way_for_another(
    ada: Customer, shop: Workshop
) -> None:
    engine = EngineByHand(slots=2)
    with override_settings(BREAKER_OPEN_SECONDS=0), closing(make_production(engine)) as production:
        shut(shop)
        probe = UUID(ask(ada, shop, fallback=False).json()["id"])
        production.drain(shop.pool)
        assert ask(ada, shop, fallback=False).status_code == 503
        engine.admitted[0][1].set_exception(EngineError("not_a_picture", "NaN", permanent=True))
        assert ended(probe).error_code == "not_a_picture"
        settle(lambda: ask(ada, shop, fallback=False).status_code == 202)
