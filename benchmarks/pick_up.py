"""How soon an idle worker begins: from the client's POST to the moment the job's row says that it is being drawn."""

import statistics
import tempfile
import time
from pathlib import Path
from uuid import UUID

from benchmarks.table import Table, milliseconds
from easel.embedded.stack import Stack

ROUNDS = 40


def measure(stack: Stack) -> Table:
    from benchmarks.customer import Customer
    from tests import tiny

    folder = tiny.build(Path(tempfile.mkdtemp(prefix="easel-bench-")))
    customer = Customer.make(stack.base_url, model_folder=folder, pool="pick-up")
    stack.start("worker", extra={"EASEL_POOLS": "pick-up", "EASEL_TORCH_THREADS": "1"})
    body = {"prompt": "a cat", "model": customer.model, "steps": 1, "width": 64, "height": 64}
    waits = []
    for _ in range(ROUNDS):
        time.sleep(0.3)  # idle: the last job has ended, and no bell is on its way
        sent = time.time()
        generation = UUID(customer.post("/v1/generations", body)["id"])
        waits.append(customer.ended(generation).started_at.timestamp() - sent)
    stack.halt("worker")
    waits.sort()
    return Table(
        "Idle pick-up",
        f"One idle worker, {ROUNDS} jobs one after the other over HTTP. From before the POST is sent until the job is "
        "claimed for drawing, so the POST's own time is in it.",
        ["median", "p95", "worst"],
        [[milliseconds(statistics.median(waits)), milliseconds(waits[int(ROUNDS * 0.95)]), milliseconds(waits[-1])]],
    )
