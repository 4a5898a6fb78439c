"""What submitting costs beside the transaction it contains, written by hand: the same statements on the same tables,
one after the other on one connection, with nothing of ours around them. In one process, turn by turn."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connections, transaction
from django.test import Client

from benchmarks.table import Table, milliseconds
from easel.embedded.stack import Stack

ROUNDS = 300


class Tape:
    """Records a request's statements, and plays them again as psycopg alone would send them."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, Any]] = []

    def note(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("SAVEPOINT", "RELEASE")):
            self.statements.append((sql, params))
        return execute(sql, params, many, context)

    def play(self) -> None:
        """Rolled back at the end, so that it can be played again."""
        with connections["default"].cursor() as wrapped:
            cursor = wrapped.cursor  # psycopg's own
            cursor.execute("BEGIN")
            for sql, params in self.statements:
                cursor.execute(sql, params)
            cursor.execute("ROLLBACK")


def measure(stack: Stack) -> Table:
    from benchmarks.customer import Customer
    from tests import tiny

    folder = tiny.build(Path(tempfile.mkdtemp(prefix="easel-bench-")))
    customer = Customer.make(stack.base_url, model_folder=folder, pool="submit")
    client = Client(headers={"Authorization": f"Bearer {customer.token}"})
    body = {"prompt": "a red apple", "model": customer.model, "steps": 1, "width": 64, "height": 64}

    def submit() -> None:
        answer = client.post("/v1/generations", body, content_type="application/json")
        assert answer.status_code == 202, answer.content

    for _ in range(30):
        submit()
    tape = Tape()
    with transaction.atomic(using="default"), connections["default"].execute_wrapper(tape.note):
        submit()
        transaction.set_rollback(True, using="default")  # so that the tape's ids are free
    tape.statements.pop()  # the tenant's scope, reset because it stood in our transaction
    ours: list[float] = []
    by_hand: list[float] = []
    for _ in range(ROUNDS):
        for act, times in ((submit, ours), (tape.play, by_hand)):
            started = time.perf_counter()
            act()
            times.append(time.perf_counter() - started)
    cost, least = statistics.median(ours), statistics.median(by_hand)
    return Table(
        "Submitting",
        "`POST /v1/generations` with a known prompt, in one process without the network, against its own statements "
        f"played again with psycopg alone (rolled back, so without the commit); median of {ROUNDS} each, turn by turn. "
        "The limit we set ourselves is a ratio of 3.",
        ["submit", "its statements by hand", "ratio", "statements"],
        [[milliseconds(cost), milliseconds(least), f"{cost / least:.2f}", str(len(tape.statements))]],
    )
