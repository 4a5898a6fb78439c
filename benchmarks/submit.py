"""What submitting costs beside the transaction it contains, written by hand: the same statements on the same tables,
one after the other on one connection, with nothing of ours around them. And what a prompt that nobody has seen costs
more than a known one, beside the one embedding that it needs. In one process, turn by turn."""

import itertools
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
    from moderation.screening.client import embed
    from tests import tiny

    folder = tiny.build(Path(tempfile.mkdtemp(prefix="easel-bench-")))
    customer = Customer.make(stack.base_url, model_folder=folder, pool="submit")
    _make_default(customer.model)
    client = Client(headers={"Authorization": f"Bearer {customer.token}"})

    def submit(prompt: str = "a red apple", model: str = customer.model) -> None:
        body = {"prompt": prompt, "model": model, "steps": 1, "width": 64, "height": 64}
        answer = client.post("/v1/generations", body, content_type="application/json")
        assert answer.status_code == 202, answer.content

    for _ in range(30):
        submit()
    tape = _taped(submit)
    ours, by_hand = _turns(submit, tape.play)
    known, new, embedding = _turns(
        lambda: submit(model="auto"), lambda: submit(_words(), model="auto"), lambda: embed([_words()])
    )  # fmt: skip
    return Table(
        "Submitting",
        "`POST /v1/generations` with a known prompt, in one process without the network, against its own statements "
        f"played again with psycopg alone (rolled back, so without the commit); median of {ROUNDS} each, turn by turn. "
        "The limit we set ourselves is a ratio of 3. Below, a prompt that was never seen, for `auto`: what it takes "
        "more than a known one, against one embedding by the screening process. The limit is 1.2.",
        ["what", "takes", "against", "ratio", "statements"],
        [
            ["a known prompt", milliseconds(ours), f"{milliseconds(by_hand)} by hand", f"{ours / by_hand:.2f}",
             str(len(tape.statements))],
            ["a new prompt", milliseconds(new), f"{milliseconds(known)} known + {milliseconds(embedding)} embedding",
             f"{(new - known) / embedding:.2f}", ""],
        ],
    )  # fmt: skip


def _taped(submit: Callable[[], None]) -> Tape:
    tape = Tape()
    with transaction.atomic(using="default"), connections["default"].execute_wrapper(tape.note):
        submit()
        transaction.set_rollback(True, using="default")  # so that the tape's ids are free
    tape.statements.pop()  # the tenant's scope, reset because it stood in our transaction
    return tape


def _turns(*acts: Callable[[], object]) -> list[float]:
    """The median of each, taken turn by turn."""
    times: list[list[float]] = [[] for _ in acts]
    for _ in range(ROUNDS):
        for act, taken in zip(acts, times, strict=True):
            started = time.perf_counter()
            act()
            taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in times]


def _words() -> str:
    """Some that were never there before, as long as prompts are."""
    return f"a lighthouse at dusk, oil painting, number {next(_numbers)}"


def _make_default(name: str) -> None:
    from easel.database import platform_role
    from generation.models import Model

    with platform_role():
        Model.objects.filter(name=name).update(is_default=True)


_numbers = itertools.count()
