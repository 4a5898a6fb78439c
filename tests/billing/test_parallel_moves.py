"""One tenant's credits move one at a time, whatever comes in parallel."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import psycopg
import pytest
from django.db import OperationalError, connections

from billing import ledger, reconciliation
from easel.database import atomic, platform_role, rows
from easel.identifiers import new_id
from tests.billing.purses import Purse, entries, lots, purse, tenant_with

THREADS = 4


def in_parallel(act: Callable[[int], object], times: int) -> list[object]:
    """Run on a few threads that start together; what a run raises is its result."""
    together = Barrier(THREADS)

    def run(worker: int) -> list[object]:
        results: list[object] = []
        together.wait(timeout=10)
        with platform_role():
            for number in range(worker, times, THREADS):
                try:
                    results.append(act(number))
                except (ledger.InsufficientCredits, ledger.AlreadySettled, ledger.NothingToRefund) as error:
                    results.append(type(error))
        connections.close_all()
        return results

    with ThreadPoolExecutor(THREADS) as threads:
        return [result for results in threads.map(run, range(THREADS)) for result in results]


def test_parallel_holds_never_overdraw() -> None:
    tenant = tenant_with(50)
    outcomes = in_parallel(lambda _: ledger.hold(tenant, new_id(), 5), times=40)
    assert outcomes.count(None) == 10
    assert outcomes.count(ledger.InsufficientCredits) == 30
    assert purse(tenant) == Purse(0, 50)


def test_parallel_holds_over_several_lots_never_overdraw_one() -> None:
    tenant = tenant_with(7)
    with platform_role():
        for number in range(6):
            ledger.grant(tenant, 7, operation_id=f"grant:{number}")
    outcomes = in_parallel(lambda _: ledger.hold(tenant, new_id(), 3), times=30)
    assert outcomes.count(None) == 49 // 3
    assert [lot[1] for lot in lots(tenant)] == [0, 0, 0, 0, 0, 0, 1]


def test_a_hold_settled_by_many_at_once_is_charged_once() -> None:
    tenant, owner = tenant_with(50), new_id()
    with platform_role():
        ledger.hold(tenant, owner, 20)
    outcomes = in_parallel(lambda number: ledger.settle(tenant, owner, charge=number + 1), times=16)
    assert outcomes.count(ledger.AlreadySettled) == 15
    (charged,) = (outcome for outcome in outcomes if isinstance(outcome, int))
    assert purse(tenant) == Purse(50 - charged, 0)


def test_a_grant_repeated_by_many_at_once_counts_once() -> None:
    tenant = tenant_with()
    outcomes = in_parallel(lambda _: ledger.grant(tenant, 10, operation_id="grant:bonus"), times=16)
    assert outcomes.count(True) == 1
    assert outcomes.count(False) == 15
    assert purse(tenant) == Purse(10, 0)
    assert entries(tenant) == [("grant", 10, 0)]


def test_a_refund_asked_for_by_many_at_once_never_exceeds_the_charge() -> None:
    tenant, owner = tenant_with(50), new_id()
    with platform_role():
        ledger.hold(tenant, owner, 20)
        ledger.settle(tenant, owner, charge=20)
    outcomes = in_parallel(
        lambda number: ledger.refund(tenant, owner, 3, operation_id=f"refund:{owner}:{number}"), times=16
    )
    assert outcomes.count(True) == 6
    assert outcomes.count(ledger.NothingToRefund) == 10
    assert purse(tenant) == Purse(48, 0)


def test_holds_settlements_and_expiry_together_lose_nothing() -> None:
    tenant = tenant_with(1000)
    owners: list[UUID] = [new_id() for _ in range(40)]

    def live(number: int) -> None:
        ledger.hold(tenant, owners[number], 10)
        ledger.settle(tenant, owners[number], charge=number % 11)

    in_parallel(live, times=40)
    charged = sum(number % 11 for number in range(40))
    assert purse(tenant) == Purse(1000 - charged, 0)
    assert sum(available for _, available, _ in entries(tenant)) == 1000 - charged
    assert sum(held for _, _, held in entries(tenant)) == 0


@pytest.mark.parametrize("statement", range(4))
def test_a_connection_that_dies_between_two_moves_leaves_nothing_of_either(statement: int) -> None:
    """Killed by the server, as a crash would, after so many statements of one transaction."""
    tenant, old, new = tenant_with(100), new_id(), new_id()
    with platform_role():
        ledger.hold(tenant, old, 40)
    moves = [
        lambda: ledger.settle(tenant, old, charge=15),
        lambda: ledger.refund(tenant, old, 5, operation_id="refund:1"),
        lambda: ledger.hold(tenant, new, 30),
        lambda: ledger.grant(tenant, 7, operation_id="grant:2"),
    ]

    def die() -> None:
        try:
            with platform_role(), atomic():
                for move in moves[: statement + 1]:
                    move()
                ((backend,),) = rows("SELECT pg_backend_pid()")
                with psycopg.connect(os.environ["EASEL_PLATFORM_DATABASE_URL"], autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s)", [backend])
                reached.append(statement)
                rows("SELECT 1")
        finally:
            connections.close_all()

    reached: list[int] = []
    with ThreadPoolExecutor(1) as thread, pytest.raises(OperationalError):
        thread.submit(die).result()
    assert reached == [statement]
    assert purse(tenant) == Purse(60, 40)
    assert entries(tenant) == [("grant", 100, 0), ("hold", -40, 40)]
    with platform_role():
        assert not any(reconciliation.run(tenant_id=tenant).values())
        for move in moves:
            move()
    assert purse(tenant) == Purse(100 - 15 + 5 - 30 + 7, 30)
