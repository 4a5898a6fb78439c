"""Each limit of each plan, from both sides: the last that is allowed and the first that is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db.models import F
from django.http import HttpResponse

from billing import plans, throttling
from billing.models import NOBODY, Allowance, Tally
from easel.database import changed, platform_role
from easel.identifiers import new_id
from generation.models import Flow, Generation, Model
from generation.registry import register
from generation.source import PostgresSource
from tests.cast import Customer, make_customer
from tests.moderation.scripted import HARMLESS

PLANS = ["free", "pro", "business"]


@pytest.fixture(scope="module")
def model() -> Model:
    """Nobody draws from its pool."""
    with platform_role():
        made = register("limits", "limits", pool="limits", title="Limits")
        Model.objects.filter(id=made.id).update(min_size=64, max_size=4096)
    return made


@pytest.fixture(params=PLANS)
def customer(request: pytest.FixtureRequest) -> Customer:
    return make_customer(request.param, plan=request.param)


def limits(customer: Customer) -> plans.Limits:
    with platform_role():
        return plans.limits_of(customer.id)


def submit(customer: Customer, model: Model, **fields: Any) -> HttpResponse:
    body = {"prompt": "apple", "model": model.name, "steps": 1, "width": 64, "height": 64, "sampler": "Euler"}
    return customer.client().post("/v1/generations", body | fields, format="json")


def allowed(answer: HttpResponse) -> bool:
    assert answer.status_code in {202, 400, 402, 429}, answer.content
    return answer.status_code == 202


def ample(customer: Customer) -> None:
    with platform_role():
        from billing import ledger

        ledger.grant(customer.id, 10**6, operation_id="grant:ample")


@pytest.mark.parametrize(
    ("field", "limit", "step", "most"),
    [("steps", "max_steps", 1, 150), ("width", "max_size", 8, 4096), ("height", "max_size", 8, 4096),
     ("n", "max_images", 1, 8)],
)  # fmt: skip
def test_sizes_steps_and_images(customer: Customer, model: Model, field: str, limit: str, step: int, most: int) -> None:
    ample(customer)
    bound = getattr(limits(customer), limit)
    assert allowed(submit(customer, model, **{field: bound}))
    answer = submit(customer, model, **{field: bound + step})
    assert answer.status_code == 400
    code = "over_plan_limit" if bound < most else "max_value"  # the widest plan ends where the API does
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [(field, code)]


def test_requests_per_minute(customer: Customer) -> None:
    bound = limits(customer).requests_per_minute
    client = customer.client()
    last = None
    for _ in range(2):  # a second window, should the first have ended on the way
        _use_up(customer, "writes", bound - 1)
        last = client.post("/v1/quotes", {"model": "nonesuch"}, format="json")
        refused = client.post("/v1/quotes", {"model": "nonesuch"}, format="json")
        if refused.status_code == 429:
            break
    assert last is not None
    assert last.status_code == 400, "the last request of the minute is answered"
    assert last["RateLimit"].startswith('"tenant-writes";r=0;t=')
    assert last["RateLimit-Policy"] == f'"tenant-writes";q={bound};w=60'
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert (refused["X-RateLimit-Limit"], refused["X-RateLimit-Remaining"]) == (str(bound), "0")
    assert 0 <= int(refused["X-RateLimit-Reset"]) - datetime.now(UTC).timestamp() <= 62


def test_reads_have_ten_times_the_rate_and_a_count_of_their_own(customer: Customer) -> None:
    bound = limits(customer).requests_per_minute * throttling.READS_PER_WRITE
    client = customer.client()
    for _ in range(2):
        _use_up(customer, "reads", bound - 1)
        assert client.get("/v1/account").status_code == 200
        refused = client.get("/v1/account")
        if refused.status_code == 429:
            break
    assert refused.status_code == 429
    assert client.post("/v1/quotes", {"model": "nonesuch"}, format="json").status_code == 400


def _use_up(customer: Customer, kind: str, times: int) -> None:
    """Count so many requests without sending them."""
    from django.core.cache import cache

    from easel import ratelimit

    limit = times + 1
    ratelimit.use(f"api-{kind}", str(customer.id), limit=limit)
    key = _counter(f"api-{kind}", str(customer.id), limit)
    cache.set(key, times, 65)


def _counter(group: str, value: str, limit: int) -> str:
    """Where django-ratelimit keeps the count of the current window."""
    from django_ratelimit.core import ALL, _get_window, _make_cache_key

    return str(_make_cache_key(group, _get_window(value, 60), (limit, 60), value, ALL))


def test_generations_a_day_and_a_month(customer: Customer, model: Model) -> None:
    given = limits(customer)
    for span, bound in (("day", given.generations_per_day), ("month", given.generations_per_month)):
        if bound is None:
            tally(customer, span, 10**7)
            assert allowed(submit(customer, model)), "no limit is no limit"
            continue
        tally(customer, span, bound - 1)
        assert allowed(submit(customer, model))
        answer = submit(customer, model)
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
        assert 1 <= int(answer["Retry-After"]) <= (86_400 if span == "day" else 31 * 86_400) + 1
        assert answer["RateLimit"] == f'"tenant-{span}";r=0;t={answer["Retry-After"]}'
        assert answer["RateLimit-Policy"].startswith(f'"tenant-{span}";q={bound};w=')
        assert (answer["X-RateLimit-Limit"], answer["X-RateLimit-Remaining"]) == (str(bound), "0")
        tally(customer, span, 0)


def tally(customer: Customer, span: str, generations: int) -> None:
    today = datetime.now(UTC).date()
    starts = today if span == "day" else today.replace(day=1)
    with platform_role():
        Tally.objects.update_or_create(
            tenant_id=customer.id, key_id=NOBODY, span=span, starts=starts, defaults={"generations": generations}
        )


def test_queued_jobs(customer: Customer, model: Model) -> None:
    bound = limits(customer).queued_jobs
    assert allowed(submit(customer, model))
    with platform_role():
        Flow.objects.filter(tenant_id=customer.id).update(queued=bound - 1)
    assert allowed(submit(customer, model))
    answer = submit(customer, model)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_queued")
    assert (answer["RateLimit-Policy"], answer["Retry-After"]) == (f'"queued";q={bound};w=5', "5")
    with platform_role():
        assert Flow.objects.get(tenant_id=customer.id).queued == bound, "a refusal leaves no trace"
        assert Generation.objects.filter(tenant_id=customer.id).count() == 2


def test_queued_jobs_count_over_all_pools(model: Model) -> None:
    customer = make_customer("Pools", plan="free")
    with platform_role():
        other = register("limits-2", "limits-2", pool="limits-2", title="Limits 2")
    assert allowed(submit(customer, model))
    with platform_role():
        Flow.objects.filter(tenant_id=customer.id).update(queued=limits(customer).queued_jobs)
    assert submit(customer, other).json()["code"] == "too_many_queued"


def test_equal_jobs_that_wait_for_one_drawing_count_each(model: Model) -> None:
    customer = make_customer("Equals", plan="free")
    bound = limits(customer).queued_jobs
    assert allowed(submit(customer, model, seed=7))
    assert allowed(submit(customer, model, seed=7)), "it follows the first"
    with platform_role():
        Flow.objects.filter(tenant_id=customer.id).update(queued=bound - 1)
    for seed in (7, 8):
        assert submit(customer, model, seed=seed).json()["code"] == "too_many_queued"
    with platform_role():
        Flow.objects.filter(tenant_id=customer.id).update(queued=bound - 2)
    assert allowed(submit(customer, model, seed=7))
    assert submit(customer, model, seed=7).json()["code"] == "too_many_queued"


def test_running_jobs(customer: Customer, model: Model) -> None:
    bound = limits(customer).running_jobs
    source = PostgresSource()
    with platform_role():
        pool = register("own", "own", pool=f"own-{customer.id}"[:40], title="Own")
        Model.objects.filter(id=pool.id).update(name=f"own-{new_id().hex}")
        own = Model.objects.select_related("pool").get(id=pool.id)
        assert allowed(submit(customer, own))
        # Nearly at its cap, as if so many were being drawn: cheaper than drawing them.
        Flow.objects.filter(tenant_id=customer.id).update(running=bound - 1)
    (last,) = source.claim(own.pool.name, limit=1)
    assert allowed(submit(customer, own))
    assert source.claim(own.pool.name, limit=1) == [], "at its cap the flow is not ready"
    assert source.fail(last, code="engine_failed", detail="for the test")
    assert len(source.claim(own.pool.name, limit=1)) == 1


def test_priority_and_weight_are_the_plans(customer: Customer, model: Model) -> None:
    generation_id = submit(customer, model).json()["id"]
    with platform_role():
        given = plans.limits_of(customer.id)
        assert Generation.objects.get(id=generation_id).priority == given.priority
        flow = Flow.objects.get(tenant_id=customer.id)
    assert (flow.weight, flow.cap) == (given.queue_weight, given.running_jobs)


def test_a_change_of_plan_counts_at_once_for_what_waits(model: Model) -> None:
    customer = make_customer("Mover", plan="free")
    submit(customer, model)
    with platform_role():
        plans.change(customer.id, plans.newest("pro"))
        flow = Flow.objects.get(tenant_id=customer.id)
    assert (flow.weight, flow.cap) == (4.0, 8)
    assert allowed(submit(customer, model, steps=100))


@pytest.fixture
def ada_free() -> Customer:
    return make_customer("Ada", plan="free")


def test_a_key_may_have_a_quota_of_its_own(ada_free: Customer, model: Model) -> None:
    with platform_role():
        Allowance.objects.create(tenant_id=ada_free.id, key_id=ada_free.key.id, generations_per_day=2)
    answers = [submit(ada_free, model) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2]["RateLimit-Policy"].startswith('"key-day";q=2;w=86400')
    assert answers[2].json()["detail"].startswith("This API key may have 2 generations a day.")


def test_a_key_may_have_a_rate_of_its_own(ada_free: Customer) -> None:
    with platform_role():
        Allowance.objects.create(tenant_id=ada_free.id, key_id=ada_free.key.id, requests_per_minute=2)
    throttling.forget_all()
    client = ada_free.client()
    answers = [client.post("/v1/quotes", {"model": "nonesuch"}, format="json") for _ in range(6)]
    assert answers[0].status_code == 400
    assert answers[-1].status_code == 429
    assert answers[0]["RateLimit-Policy"] == '"tenant-writes";q=60;w=60, "key-writes";q=2;w=60'
    assert answers[0]["X-RateLimit-Limit"] == "2", "the tighter of both"


@pytest.mark.parametrize("caps", [{"spend_cap": 3}, {"spend_cap": 3, "staff_cap": 9}, {"spend_cap": 9, "staff_cap": 3}])
@pytest.mark.parametrize("whose", ["key", "tenant"])
def test_a_spend_cap_counts_what_is_held_and_what_was_charged(
    ada_free: Customer, model: Model, whose: str, caps: dict[str, int]
) -> None:
    key_id = ada_free.key.id if whose == "key" else NOBODY
    with platform_role():
        Allowance.objects.create(tenant_id=ada_free.id, key_id=key_id, **caps)
    source = PostgresSource()
    first = submit(ada_free, model)
    (job,) = source.claim(model.pool.name, limit=1)
    assert source.complete(job, [_delivery(job.generation_id)])
    assert [submit(ada_free, model).status_code for _ in range(2)] == [202, 202]
    answer = submit(ada_free, model)
    assert (first.status_code, answer.status_code, answer.json()["code"]) == (202, 402, "spend_cap_reached")
    with platform_role():
        raised = {name: F(name) + 1 for name in caps}
        Allowance.objects.filter(tenant_id=ada_free.id).update(**raised)
    assert allowed(submit(ada_free, model)), "a raised cap counts at once"
    with platform_role():
        changed("DELETE FROM generation_flow WHERE tenant_id = %s", [ada_free.id])


def _delivery(generation_id: Any) -> Any:
    from generation.source import Delivery

    return Delivery(
        index=0, seed=1, width=64, height=64, content_type="image/png", bytes=1, sha256="0" * 64,
        object_key=f"t/{generation_id}", steps_run=1, seconds=0.1, judgment=HARMLESS,
    )  # fmt: skip
