"""The search for the next turn begins at a floor, and no flow is ever below it (docs/adr/0009)."""

from collections.abc import Callable
from uuid import UUID

import pytest

from easel import clock, metrics
from easel.database import atomic, changed, platform_role, rows
from generation import flows, turns
from generation.source import PostgresSource
from tests.aside import aside, name, wait_for_its_lock
from tests.cast import Customer
from tests.generation.conftest import Workshop

source = PostgresSource()


def take(pool: str, count: int = 1) -> list[UUID]:
    """As a claim does, without the rows of jobs: whose turns they were."""
    turn, whose = turns.lock(pool), []
    while turn is not None:
        turns.take(turn, work=1.0)
        whose.append(turn.tenant_id)
        turn = turns.look_again(pool, []) if len(whose) < count else None
    return whose


def claim(pool: str, count: int = 1) -> list[UUID]:
    with platform_role(), atomic():
        return take(pool, count)


@pytest.fixture
def crowd(ada: Customer, workshop: Workshop) -> Workshop:
    """A hundred jobs of Ada's wait, and one of them has been claimed."""
    with platform_role(), atomic():
        rows("SELECT pg_current_xact_id()")
        for _ in range(100):
            flows.enqueue(ada.id, workshop.model.pool_id, workshop.pool, work=1.0, cap=1000)
    assert claim(workshop.pool) == [ada.id]
    return workshop


def late(customer: Customer, shop: Workshop) -> Callable[[], None]:
    """A customer's first job: it reads the pool's time once its transaction has an id."""

    def enqueue() -> None:
        rows("SELECT pg_current_xact_id()")
        flows.enqueue(customer.id, shop.model.pool_id, shop.pool, work=1.0, cap=1000)

    return enqueue


def test_who_read_the_time_before_a_claim_was_committed_is_waited_for(
    ada: Customer, bob: Customer, crowd: Workshop
) -> None:
    with aside() as claiming, aside() as asking:
        assert claiming.do(lambda: take(crowd.pool)) == [ada.id]
        asking.do(late(bob, crowd))  # a higher id than that claim's, and a lower time
        claiming.commit()
        for _ in range(5):
            assert claim(crowd.pool) == [ada.id]
        asking.commit()
    assert claim(crowd.pool) == [bob.id]


@pytest.mark.parametrize("count", [2, 5])
def test_who_read_the_time_while_a_claim_took_several_is_waited_for(
    count: int, ada: Customer, bob: Customer, crowd: Workshop
) -> None:
    with aside() as claiming, aside() as asking:
        claiming.do(lambda: take(crowd.pool, count))
        asking.do(late(bob, crowd))
        claiming.commit()
        for _ in range(5):
            assert claim(crowd.pool, count) == [ada.id] * count
        asking.commit()
    assert claim(crowd.pool) == [bob.id]


def test_a_claim_gets_its_id_with_the_lock(ada: Customer, bob: Customer, crowd: Workshop) -> None:
    """What the mark stands on: one that was given out while the claim still waited would be too low."""
    with aside() as first, aside() as second:
        first.do(lambda: take(crowd.pool))
        name(second, "second claim")
        second.begin(lambda: (take(crowd.pool), rows("SELECT pg_current_xact_id()::text::bigint")[0][0]))
        wait_for_its_lock("second claim")
        with platform_role():
            ids = rows("SELECT backend_xid FROM pg_stat_activity WHERE application_name = 'second claim'")
            ((between,),) = rows("SELECT pg_current_xact_id()::text::bigint")
        assert ids == [(None,)]
        first.commit()
        _, own = second.answer()
    assert own > between


def test_the_floor_rises_behind_the_claims(crowd: Workshop) -> None:
    """Or the search would begin at the first flow there ever was."""
    claim_until_the_floor_is_near(crowd)


def claim_until_the_floor_is_near(crowd: Workshop) -> None:
    for _ in range(10):
        claim(crowd.pool)
    with platform_role():
        floor, vtime = rows(
            "SELECT floor, vtime FROM generation_pooltime WHERE pool_id = %s ORDER BY id DESC LIMIT 1",
            [crowd.model.pool_id],
        )[0]
    assert vtime - 3 <= floor < vtime


def test_the_floor_rises_after_a_restore_into_a_cluster_with_younger_ids(crowd: Workshop) -> None:
    claim(crowd.pool)
    with platform_role():
        changed("UPDATE generation_pooltime SET mark_xid = %s WHERE pool_id = %s", [2**60, crowd.model.pool_id])
    claim_until_the_floor_is_near(crowd)


def test_a_flow_below_the_floor_is_found_and_lifted(bob: Customer, crowd: Workshop) -> None:
    for _ in range(5):
        claim(crowd.pool)
    job = crowd.submit(bob)
    with platform_role():
        changed("UPDATE generation_flow SET vtime = -1 WHERE tenant_id = %s", [bob.id])
    assert source.claim(crowd.pool, limit=5) == []
    clock.perform("recount_flows")
    assert float(metrics.FLOW_DRIFT._value.get()) >= 1
    assert [each.generation_id for each in source.claim(crowd.pool, limit=5)] == [job]
