"""How soon an earlier result answers, beside drawing and beside a status read; and how a trace of requests fares."""

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.table import Table, milliseconds
from easel.database import changed, platform_role
from easel.embedded.stack import Stack
from easel.identifiers import new_id

ROUNDS = 300
DRAWN = 5
REQUESTS, PROMPTS, EXPONENT, SEED = 10_000, 5_000, 1.0, 20_261_123


def measure(stack: Stack) -> Table:
    from django.conf import settings

    from tests import tiny
    from tests.cast import make_customer

    starter = settings.STARTER_FOLDER
    folder = starter if (starter / "model_index.json").is_file() else tiny.build(Path(tempfile.mkdtemp()))
    customer = make_customer("cache-benchmark")
    drawn, inside, outside = _times(stack, customer, str(folder))
    hits, best = trace(customer.id)
    return Table(
        "Earlier results",
        f"The starter model at its usual settings, drawn {DRAWN} times (POST until completed, in one process), beside "
        f"the same request answered from the cache and a status read, median of {ROUNDS} each, turn by turn: through "
        "the whole of Django without a network, and as a customer meets it, over one kept connection to a running web "
        f"process. Limits we set ourselves: 1/50 of drawing, 3 status reads. Then a trace of {REQUESTS:,} requests for "
        f"{PROMPTS:,} prompts, Zipf s = {EXPONENT}, seed {SEED}: hits beside those of a cache that forgets nothing; "
        "the limit is 0.99.",
        ["", "drawing", "cached answer", "status read", "drawing ÷ cached", "cached ÷ status", "trace: hits", "÷ best"],
        [
            [where, milliseconds(drawn), milliseconds(cached), milliseconds(status), f"{drawn / cached:.0f}",
             f"{cached / status:.2f}", *told]
            for where, (cached, status), told in (
                ("in one process", inside, [f"{hits / REQUESTS:.3f}", f"{hits / best:.4f}"]),
                ("over HTTP", outside, ["", ""]),
            )
        ],
    )  # fmt: skip


def trace(tenant_id: UUID) -> tuple[int, int]:
    """Hits of the cache on the fixed trace, and of one that forgets nothing. What is missed is stored at once, as a
    drawing would be."""
    from generation import cache
    from generation.models import Model

    with platform_role():
        model = Model.objects.filter(tenant=None).order_by("-created_at").first()
        assert model is not None
        seen: set[int] = set()
        hits = best = 0
        for prompt in zipf():
            fingerprint = prompt.to_bytes(32, "big")
            best += prompt in seen
            seen.add(prompt)
            if cache.recall(tenant_id, fingerprint, model_version="trace") is not None:
                hits += 1
            else:
                changed(
                    "INSERT INTO generation_cachedresult (id, tenant_id, fingerprint, seedless, generation_id, "
                    "model_id, model_version) VALUES (%s, %s, %s, %s, %s, %s, 'trace')",
                    [new_id(), tenant_id, fingerprint, fingerprint, _any_generation(tenant_id), model.id],
                )
    return hits, best


def zipf() -> list[int]:
    """The trace: always the same."""
    weights = list(accumulate(1 / rank**EXPONENT for rank in range(1, PROMPTS + 1)))
    return random.Random(SEED).choices(range(PROMPTS), cum_weights=weights, k=REQUESTS)


def _any_generation(tenant_id: UUID) -> UUID:
    from generation.models import Generation

    found: UUID = Generation.objects.filter(tenant_id=tenant_id).values_list("id", flat=True)[0]
    return found


def _times(stack: Stack, customer: Any, folder: str) -> tuple[float, list[float], list[float]]:
    from generation.engine.loop import LoopEngine
    from generation.registry import native_size, register
    from tests.generation.conftest import ended, make_production

    name = f"cache-{new_id().hex[-8:]}"
    with platform_role():
        register(name, folder, pool=name, native_size=native_size(Path(folder)), default_cfg_scale=4.0, factor=0.05)
    production = make_production(LoopEngine(device="cpu", threads=2))
    client = customer.client()

    def post(seed: int) -> Any:
        return client.post("/v1/generations", {"prompt": "a red apple", "model": name, "seed": seed}, format="json")

    seconds = []
    try:
        for seed in range(DRAWN + 1):
            started = time.perf_counter()
            generation = UUID(post(seed).json()["id"])
            production.drain(name)
            assert ended(generation, seconds=300).status == "completed"
            seconds.append(time.perf_counter() - started)
    finally:
        production.close()
    answered = post(1)
    assert answered.status_code == 200, answered.content
    read = f"/v1/generations/status/{answered.json()['id']}"
    inside = _turn_by_turn(lambda: post(1).status_code, lambda: client.get(read).status_code)
    asked = json.dumps({"prompt": "a red apple", "model": name, "seed": 1})
    line = HTTPConnection("127.0.0.1", stack.port, timeout=30)
    headers = {"Authorization": f"Bearer {customer.token()}", "Content-Type": "application/json"}

    def call(method: str, path: str, body: str | None = None) -> int:
        line.request(method, path, body, headers)
        answer = line.getresponse()
        answer.read()
        return answer.status

    outside = _turn_by_turn(lambda: call("POST", "/v1/generations", asked), lambda: call("GET", read))
    return statistics.median(seconds[1:]), inside, outside


def _turn_by_turn(*calls: Callable[[], int]) -> list[float]:
    """The median seconds of each; they return the answer's status."""
    times: list[list[float]] = [[] for _ in calls]
    for round_ in range(ROUNDS + 20):
        for call, kept in zip(calls, times, strict=True):
            started = time.perf_counter()
            status = call()
            assert status == 200
            if round_ >= 20:
                kept.append(time.perf_counter() - started)
    return [statistics.median(kept) for kept in times]
