"""Who is drawn next: the lowest flow first, each tenant's jobs by priority and age, nobody twice."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import connections

from easel.database import changed, platform_role
from generation.assignment import Assignment
from generation.fetching import GivenPixels
from generation.models import Flow, Generation, Model
from generation.source import PostgresSource
from tests.cast import Customer, make_customer
from tests.generation.conftest import Workshop, row

source = PostgresSource()


def test_a_crowd_of_one_tenant_does_not_keep_another_waiting(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    for _ in range(6):
        workshop.submit(ada)
    taken = [job.tenant_id for job in source.claim(workshop.pool, limit=2)]
    late = workshop.submit(bob)
    (next_job,) = source.claim(workshop.pool, limit=1)
    assert taken == [ada.id, ada.id]
    assert next_job.generation_id == late


def test_idleness_earns_nothing(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    workshop.submit(bob)  # bob's flow exists, and then rests
    source.claim(workshop.pool, limit=1)
    for _ in range(4):
        workshop.submit(ada)
    with platform_role():
        changed("UPDATE generation_flow SET cap = 100 WHERE tenant_id = ANY(%s)", [[ada.id, bob.id]])
    source.claim(workshop.pool, limit=3)
    for _ in range(3):
        workshop.submit(bob)
    order = [job.tenant_id for job in source.claim(workshop.pool, limit=4)]
    assert order.count(ada.id) == 1  # not three of bob's before ada's last one gets its turn
    assert ada.id in order[:3]


def test_twice_the_weight_gets_twice_the_work(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    for _ in range(12):
        workshop.submit(ada)
        workshop.submit(bob)
    with platform_role():
        changed("UPDATE generation_flow SET cap = 100")
        changed("UPDATE generation_flow SET weight = 2 WHERE tenant_id = %s", [bob.id])
    order = [job.tenant_id for job in source.claim(workshop.pool, limit=12)]
    assert (order.count(ada.id), order.count(bob.id)) == (4, 8)


def test_priority_goes_before_age_within_a_tenant(ada: Customer, workshop: Workshop) -> None:
    old, urgent = workshop.submit(ada), workshop.submit(ada)
    with platform_role():
        Generation.objects.filter(id=urgent).update(priority=5)
    assert [job.generation_id for job in source.claim(workshop.pool, limit=2)] == [urgent, old]


def test_a_tenant_at_its_cap_waits_until_something_of_it_ends(ada: Customer, workshop: Workshop) -> None:
    for _ in range(5):
        workshop.submit(ada)
    first = source.claim(workshop.pool, limit=10)
    assert len(first) == 4
    assert not source.ready(workshop.pool)
    assert source.claim(workshop.pool, limit=1) == []
    source.fail(first[0], code="engine_failed", detail="for the test")
    assert source.ready(workshop.pool)
    assert len(source.claim(workshop.pool, limit=10)) == 1


def test_eight_claimers_take_every_job_once_and_none_goes_empty_handed(workshop: Workshop) -> None:
    for name in "abcdefgh":
        customer = make_customer(name)
        for _ in range(4):
            workshop.submit(customer)

    def claim(_: int) -> list[UUID]:
        try:
            return [job.generation_id for job in source.claim(workshop.pool, limit=1)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(claim, range(32)))
    assert all(len(claim) == 1 for claim in claims)
    assert len({generation for (generation,) in claims}) == 32


def test_a_row_that_cannot_be_read_fails_alone(ada: Customer, workshop: Workshop) -> None:
    broken, whole = workshop.submit(ada), workshop.submit(ada)
    with platform_role():
        Generation.objects.filter(id=broken).update(prompt_sealed=b"nonsense")
    claimed = [*source.claim(workshop.pool, limit=2), *source.claim(workshop.pool, limit=2)]
    assert [job.generation_id for job in claimed] == [whole]
    assert (row(broken).status, row(broken).error_code) == ("failed", "internal_error")


def test_a_flow_counts_what_waits_and_what_runs(ada: Customer, workshop: Workshop) -> None:
    for _ in range(3):
        workshop.submit(ada)
    source.claim(workshop.pool, limit=1)
    with platform_role():
        flow = Flow.objects.get(tenant=ada.tenant)
    assert (flow.queued, flow.running, flow.ready) == (2, 1, True)
    assert flow.vtime > 0


def test_claims_and_submissions_do_not_wait_for_each_other_in_a_circle(ada: Customer, workshop: Workshop) -> None:
    """A submission holds its flow and checks its pool's key at commit; a claim holds the pool and wants the flow."""

    def submit(_: int) -> None:
        try:
            workshop.submit(ada)
        finally:
            connections.close_all()

    def claim(_: int) -> None:
        try:
            for job in source.claim(workshop.pool, limit=2):
                source.give_back(job, counted=False)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        tasks = [threads.submit(act, index) for index in range(40) for act in (submit, claim)]
    for task in tasks:
        task.result()


def test_an_image_is_drawn_under_its_requests_id_and_its_models_name_unless_that_is_a_tenants_own(
    ada: Customer, workshop: Workshop
) -> None:
    workshop.submit(ada)
    (job,) = source.claim(workshop.pool, limit=1)
    ((_, drawing),) = Assignment(job).drawings(GivenPixels())
    assert drawing.traced == {"request_id": row(job.generation_id).request_id, "tenant": str(ada.id)}
    assert drawing.checkpoint.measured_as == workshop.model.name
    with platform_role():
        Model.objects.filter(id=workshop.model.id).update(tenant=ada.tenant)
    workshop.submit(ada)
    (job,) = source.claim(workshop.pool, limit=1)
    ((_, drawing),) = Assignment(job).drawings(GivenPixels())
    assert (drawing.checkpoint.name, drawing.checkpoint.measured_as) == (workshop.model.name, "model")
