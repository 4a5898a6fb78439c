"""What the clock and the workers tell of the queue, and that flows which count wrongly are found and mended."""

from billing import plans
from easel import clock, metrics
from easel.database import changed, platform_role
from generation import rounds_seen
from generation.models import Flow, Pool, PoolTime
from generation.source import PostgresSource
from tests.cast import Customer
from tests.generation.conftest import Workshop

source = PostgresSource()


def gauge(metric: object, *labels: str) -> float:
    child = metric.labels(*labels) if labels else metric  # type: ignore[attr-defined]
    return float(child._value.get())


def test_depth_and_age_of_each_pool_are_told(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    for customer in (ada, bob):
        for _ in range(3):
            workshop.submit(customer)
    source.claim(workshop.pool, limit=1)
    with platform_role():
        changed(
            "UPDATE generation_generation SET created_at = now() - interval '90 s' WHERE tenant_id = %s "
            "AND status = 'queued'",
            [bob.id],
        )
    clock.perform("measure_queue")
    assert gauge(metrics.QUEUE_JOBS, workshop.pool, "queued") == 5
    assert gauge(metrics.QUEUE_JOBS, workshop.pool, "running") == 1
    assert 90 <= gauge(metrics.QUEUE_OLDEST, workshop.pool) < 150


def test_what_waits_for_its_tenants_own_cap_alone_makes_no_queue_old(
    ada: Customer, bob: Customer, workshop: Workshop
) -> None:
    for _ in range(2):
        workshop.submit(ada)
    with platform_role():
        Flow.objects.filter(tenant=ada.tenant).update(cap=1)
        changed("UPDATE generation_generation SET created_at = now() - interval '400 s' WHERE tenant_id = %s", [ada.id])
    (job,) = source.claim(workshop.pool, limit=2)
    workshop.submit(bob)
    clock.perform("measure_queue")
    assert gauge(metrics.QUEUE_JOBS, workshop.pool, "queued") == 2
    assert gauge(metrics.QUEUE_OLDEST, workshop.pool) < 300
    source.fail(job, code="for_the_test", detail="")
    clock.perform("measure_queue")
    assert gauge(metrics.QUEUE_OLDEST, workshop.pool) >= 400


def test_workers_that_signed_lately_are_counted(workshop: Workshop) -> None:
    rounds_seen.sign("one", [workshop.pool])
    rounds_seen.sign("two", [workshop.pool])
    clock.perform("measure_queue")
    assert gauge(metrics.WORKERS, workshop.pool) == 2
    assert rounds_seen.count([workshop.pool], seconds=-1) == {workshop.pool: 0}


def test_the_speed_of_a_pool_is_what_it_served_while_something_waited(ada: Customer, workshop: Workshop) -> None:
    for _ in range(4):
        workshop.submit(ada)
    clock.perform("measure_queue")
    for job in source.claim(workshop.pool, limit=2):
        with platform_role():
            changed("UPDATE generation_pool SET measured_at = now() - interval '10 s' WHERE name = %s", [workshop.pool])
            changed("UPDATE generation_flow SET served_work = served_work + 25 WHERE tenant_id = %s", [ada.id])
        source.fail(job, code="engine_failed", detail="")
    clock.perform("measure_queue")
    with platform_role():
        assert 4.5 < (Pool.objects.get(name=workshop.pool).work_per_second or 0) < 5.5


def test_claims_and_endings_are_counted_by_kind(ada: Customer, workshop: Workshop) -> None:
    before = (
        gauge(metrics.CLAIMS, "work"), gauge(metrics.CLAIMS, "empty"), gauge(metrics.ENDINGS, "failed", "for_the_test")
    )  # fmt: skip
    workshop.submit(ada)
    (job,) = source.claim(workshop.pool, limit=1)
    assert source.claim(workshop.pool, limit=1) == []
    source.fail(job, code="for_the_test", detail="")
    after = (
        gauge(metrics.CLAIMS, "work"), gauge(metrics.CLAIMS, "empty"), gauge(metrics.ENDINGS, "failed", "for_the_test")
    )  # fmt: skip
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]


def test_a_flow_that_counts_wrongly_is_found_and_mended(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    for customer in (ada, bob):
        for _ in range(3):
            workshop.submit(customer)
    source.claim(workshop.pool, limit=2)
    clock.perform("recount_flows")
    clock.perform("recount_flows")
    assert gauge(metrics.FLOW_DRIFT) == 0
    with platform_role():
        changed("UPDATE generation_flow SET queued = 0, running = 7 WHERE tenant_id = %s", [ada.id])
    assert clock.perform("recount_flows") == 1
    assert gauge(metrics.FLOW_DRIFT) == 1
    with platform_role():
        assert set(Flow.objects.filter(pool__name=workshop.pool).values_list("queued", "running", "tenant_id")) == {
            (2, 1, ada.id), (2, 1, bob.id),
        }  # fmt: skip
    assert clock.perform("recount_flows") == 0


def test_a_flow_with_the_limits_of_a_plan_that_its_tenant_has_left_gets_those_of_today(
    ada: Customer, workshop: Workshop
) -> None:
    workshop.submit(ada)
    clock.perform("follow_plans")
    assert clock.perform("follow_plans") == 0
    with platform_role():
        today = plans.limits_of(ada.id)
        flow = Flow.objects.filter(tenant=ada.tenant)
        flow.update(weight=today.queue_weight + 3, cap=today.running_jobs + 3)
        assert clock.perform("follow_plans") == 1
        assert list(flow.values_list("weight", "cap")) == [(today.queue_weight, today.running_jobs)]


def test_old_rows_of_a_pools_time_are_forgotten_and_the_time_stays(ada: Customer, workshop: Workshop) -> None:
    workshop.submit(ada)
    (job,) = source.claim(workshop.pool, limit=1)
    source.give_back(job, counted=False)
    with platform_role():
        changed(
            "INSERT INTO generation_pooltime (pool_id, vtime, floor, mark_vtime, mark_xid) "
            "SELECT pool_id, vtime + n, floor, mark_vtime, mark_xid "
            "FROM generation_pooltime, generate_series(1, 300) n WHERE pool_id = %s",
            [workshop.model.pool_id],
        )
        newest = PoolTime.objects.filter(pool=workshop.model.pool).order_by("-id")[0].vtime
    clock.perform("forget_pool_times")
    with platform_role():
        left = PoolTime.objects.filter(pool=workshop.model.pool).order_by("-id")
        assert (left.count(), left[0].vtime) == (101, newest)
    assert len(source.claim(workshop.pool, limit=1)) == 1
