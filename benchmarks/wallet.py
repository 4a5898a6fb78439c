"""Two hundred requests against a wallet that covers fifty: all at once, and one after the other."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError

from benchmarks.customer import Customer
from benchmarks.table import Table
from billing import ledger
from easel.database import platform_role, rows
from easel.embedded.stack import Stack

SUBMITS, COVERED, PRICE, ROUNDS = 200, 50, 12, 3


def measure(stack: Stack) -> Table:
    """Over real HTTP and the web's two processes; the best of a few rounds each, turn by turn."""
    at_once, in_turn, answers = [], [], Counter[int]()
    for round_ in range(ROUNDS):
        seconds, answered = _submit(stack, f"wallet-at-once-{round_}", threads=SUBMITS)
        at_once.append(seconds)
        answers += answered
        seconds, answered = _submit(stack, f"wallet-in-turn-{round_}", threads=1)
        in_turn.append(seconds)
        answers += answered
    assert answers == {202: COVERED * 2 * ROUNDS, 402: (SUBMITS - COVERED) * 2 * ROUNDS}, answers
    ratio = min(at_once) / min(in_turn)
    return Table(
        "The last credits",
        f"{SUBMITS} submissions of one tenant whose wallet covers {COVERED}: exactly {COVERED} were accepted in every "
        f"round, the others got 402. Best of {ROUNDS}. The limit we set ourselves is a ratio of 1.5.",
        ["all at once", "one after the other", "ratio"],
        [[f"{min(at_once):.2f} s", f"{min(in_turn):.2f} s", f"{ratio:.2f}"]],
    )


def _submit(stack: Stack, name: str, *, threads: int) -> tuple[float, Counter[int]]:
    customer = Customer.make(stack.base_url, model_folder=Path(name), pool=name)
    with platform_role():
        ((available,),) = rows("SELECT available FROM billing_wallet WHERE tenant_id = %s", [customer.tenant_id])
        ledger.take(customer.tenant_id, available - COVERED * PRICE, operation_id="take:bench")

    def submit(number: int) -> int:
        body = {"prompt": f"apple {number}", "model": customer.model, "steps": 20, "width": 512, "height": 512, "n": 2}
        try:
            customer.post("/v1/generations", body | {"sampler": "Euler"})
        except HTTPError as error:
            return error.code
        return 202

    with ThreadPoolExecutor(threads) as pool:
        submit_one = pool.submit(lambda: None)
        submit_one.result()
        started = time.perf_counter()
        answers = Counter(pool.map(submit, range(SUBMITS)))
        return time.perf_counter() - started, answers
