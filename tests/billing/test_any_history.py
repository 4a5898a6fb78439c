"""Whatever happens in whatever order, and wherever it is cut off: the ledger adds up.

A history is a list of moves. Each runs in a transaction of its own; a crash ends one before a statement of it of our
choosing, as a lost connection would. `EASEL_HISTORIES` says how many histories to try.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing import ledger, plans, reconciliation
from billing.models import Lot
from easel.database import atomic, connection, platform_role, rows
from easel.identifiers import new_id
from tests.billing.purses import tenant_with

HISTORIES = int(os.environ.get("EASEL_HISTORIES", "500"))
START = datetime(2036, 1, 31, tzinfo=UTC)  # ahead of the real clock, whose duties other tests perform
REFUSALS = (ledger.InsufficientCredits, ledger.AlreadySettled, ledger.NothingToRefund)
PLANS = ("free", "pro", "business")

OWNERS = 3  # few, so that histories meet the same hold again and again
owners = st.integers(0, OWNERS - 1)
amounts = st.integers(1, 3_000)
moves = st.one_of(
    st.tuples(st.just("submit"), owners, amounts),
    st.tuples(st.just("submit"), owners, amounts),
    st.tuples(st.just("answer_at_once"), owners, amounts),
    st.tuples(st.just("complete"), owners, st.integers(0, 3_500)),
    st.tuples(st.just("cancel"), owners, st.integers(0, 50)),
    st.tuples(st.just("fail"), owners, st.none()),
    st.tuples(st.just("batch_item"), owners, st.integers(1, 400)),
    st.tuples(st.just("refuse"), owners, st.none()),
    st.tuples(st.just("refund"), owners, st.integers(1, 20)),
    st.tuples(st.just("refund"), owners, st.integers(1, 2_000)),
    st.tuples(st.just("grant"), st.integers(0, 20), st.integers(1, 1_000)),
    st.tuples(st.just("adjust"), st.integers(0, 20), st.integers(1, 1_000)),
    st.tuples(st.just("change_plan"), st.sampled_from(PLANS), st.none()),
    st.tuples(st.just("take_owed"), st.none(), st.none()),
    st.tuples(st.just("expire"), st.none(), st.none()),
    st.tuples(st.just("days_pass"), st.integers(1, 40), st.none()),
)
# Where a move is cut off: before which of its statements, or (None) not at all.
steps = st.lists(st.tuples(moves, st.sampled_from([None] * 6 + [0, 1, 2, 3])), min_size=15, max_size=40)


class Crash(Exception):
    """The connection is gone."""


@contextmanager
def crashing(before: int | None) -> Iterator[None]:
    """Fail before the statement of that number; what the transaction did is rolled back by the database."""
    count = 0

    def guard(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal count
        if before is not None and count == before:
            raise Crash
        count += 1
        return execute(sql, params, many, context)

    with connection().execute_wrapper(guard):
        yield


class History:
    """One tenant's life, with a clock of its own."""

    def __init__(self) -> None:
        self.tenant = tenant_with()
        self.now = START
        self.owners = [new_id() for _ in range(OWNERS)]
        plans.subscribe(self.tenant, "free", at=self.now)

    def run(self, move: str, subject: Any, amount: Any, *, crash: int | None) -> None:
        try:
            with atomic(), crashing(crash):
                getattr(self, move)(subject, amount)
        except (Crash, *REFUSALS):
            pass

    def submit(self, owner: int, amount: int) -> None:
        if not self._held(owner):
            ledger.hold(self.tenant, self.owners[owner], amount, model="m", at=self.now)

    def answer_at_once(self, owner: int, amount: int) -> None:
        if not self._held(owner):
            ledger.pay(self.tenant, self.owners[owner], amount, model="m", images=1, at=self.now)

    def complete(self, owner: int, charge: int) -> None:
        ledger.settle(self.tenant, self.owners[owner], charge=charge, images=1, at=self.now)

    def cancel(self, owner: int, charge: int) -> None:
        ledger.settle(self.tenant, self.owners[owner], charge=charge, status="canceled", at=self.now)

    def fail(self, owner: int, _: None) -> None:
        ledger.release(self.tenant, self.owners[owner], at=self.now)

    def batch_item(self, owner: int, amount: int) -> None:
        ledger.charge(self.tenant, self.owners[owner], amount, part=str(amount % 7), images=1, at=self.now)

    def refuse(self, owner: int, _: None) -> None:
        """Moderation after the drawing: what was charged is given back, in the same transaction."""
        owner_id = self.owners[owner]
        charged = ledger.settle(self.tenant, owner_id, charge=10, status="rejected", at=self.now)
        if charged:
            ledger.refund(self.tenant, owner_id, charged, operation_id=f"rejected:{owner_id}", at=self.now)

    def refund(self, owner: int, amount: int) -> None:
        operation = f"refund:{self.owners[owner]}:{amount % 5}"
        ledger.refund(self.tenant, self.owners[owner], amount, operation_id=operation, at=self.now)

    def grant(self, number: int, amount: int) -> None:
        expires = self.now + timedelta(days=number) if number else None
        ledger.grant(self.tenant, amount, operation_id=f"grant:{number}", expires_at=expires, at=self.now)

    def adjust(self, number: int, amount: int) -> None:
        if number % 2:
            ledger.take(self.tenant, amount, operation_id=f"take:{number}", at=self.now)
        else:
            source = Lot.Source.ADJUSTMENT
            ledger.grant(self.tenant, amount, operation_id=f"adjust:{number}", source=source, at=self.now)

    def change_plan(self, slug: str, _: None) -> None:
        plans.change(self.tenant, plans.newest(slug), at=self.now)

    def take_owed(self, *_: None) -> None:
        plans.take_owed(self.tenant, at=self.now)

    def expire(self, *_: None) -> None:
        due = rows("SELECT id FROM billing_lot WHERE tenant_id = %s AND expires_at <= %s", [self.tenant, self.now])
        for (lot_id,) in due:
            ledger.expire(self.tenant, lot_id, at=self.now)

    def days_pass(self, days: int, _: None) -> None:
        self.now += timedelta(days=days)
        plans.renew_due(self.tenant, at=self.now)

    def _held(self, owner: int) -> bool:
        return bool(
            rows("SELECT 1 FROM billing_hold WHERE tenant_id = %s AND owner_id = %s", [self.tenant, self.owners[owner]])
        )


def laws(tenant: UUID) -> None:
    """Entries = wallet = lots = pins = holds = usage; no charge twice; nothing negative (the database refuses that)."""
    assert {check: found for check, found in reconciliation.run(tenant_id=tenant).items() if found} == {}
    twice = rows(
        "SELECT owner_id FROM billing_entry WHERE tenant_id = %s AND generations > 0 "
        "GROUP BY owner_id HAVING count(*) > 1",
        [tenant],
    )
    assert twice == [], "an owner ended twice"
    open_but_ended = rows(
        "SELECT owner_id FROM billing_hold WHERE tenant_id = %s AND (ended_at IS NULL) = (status <> '')", [tenant]
    )
    assert open_but_ended == []


@settings(
    max_examples=HISTORIES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps)
def test_any_history_adds_up(history: list[tuple[tuple[str, Any, Any], int | None]]) -> None:
    with platform_role():
        life = History()
        for (move, subject, amount), crash in history:
            life.run(move, subject, amount, crash=crash)
        laws(life.tenant)
        for owner in range(OWNERS):
            if life._held(owner):
                life.run("fail", owner, None, crash=None)
        laws(life.tenant)
        ((held, remaining),) = rows(
            "SELECT held, (SELECT coalesce(sum(remaining), 0) FROM billing_hold WHERE tenant_id = w.tenant_id) "
            "FROM billing_wallet w WHERE tenant_id = %s",
            [life.tenant],
        )
        assert (held, remaining) == (0, 0), "nothing stays held once every job has ended"
