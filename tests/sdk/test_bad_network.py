"""Against an Easel behind the worst of networks, every call ends right, and each generation is there exactly once.

150 calls in the suite; `make soak` makes 500 (EASEL_CLIENT_CALLS).
"""

import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import anyio
import pytest

from easel.database import platform_role
from easel_client import AsyncEasel, Easel, RetryPolicy, errors
from generation.models import Generation
from tests.cast import Customer, make_customer
from tests.chaos import proof
from tests.sdk.faulty import FaultyProxy
from tests.sdk.town import Town

CALLS = int(os.environ.get("EASEL_CLIENT_CALLS", "150"))
SHARE = 0.25
AT_ONCE = 8
STUBBORN = RetryPolicy(attempts=14, first=0.05, longest=1.0, patience=90)
KINDS = ("generate", "submit and wait", "follow events", "twice under one key", "cancel", "quote")


@pytest.fixture
def proxy(easel_town: Town) -> Iterator[FaultyProxy]:
    host, _, port = easel_town.base_url.removeprefix("http://").partition(":")
    proxy = FaultyProxy((host, int(port)), share=SHARE, seed=7)
    yield proxy
    proxy.close()


def plan(calls: int, seed: int) -> list[tuple[int, str]]:
    chance = random.Random(seed)
    return [(number, chance.choice(KINDS)) for number in range(calls)]


def do(easel: Easel, number: int, kind: str) -> None:
    """One call of a customer's program; raises if it does not end right."""
    asked = {"steps": 3, "width": 64, "height": 64, "metadata": {"call": str(number)}}
    prompt = f"apple {number}"
    match kind:
        case "generate":
            made = easel.generate(prompt, **asked)  # type: ignore[arg-type]  # values of several types
            assert hashlib.sha256(made.images[0].read()).hexdigest() == made.images[0].sha256
        case "submit and wait":
            assert easel.submit(prompt, **asked).wait().status == "completed"  # type: ignore[arg-type]
        case "follow events":
            submitted = easel.submit(prompt, **asked)  # type: ignore[arg-type]
            *_, last = submitted.stream()
            assert (last.kind, last.status) == ("done", "completed")
        case "twice under one key":
            pair = [easel.submit(prompt, idempotency_key=f"call-{number}", **asked) for _ in range(2)]  # type: ignore[arg-type]
            assert pair[0].id == pair[1].id
        case "cancel":
            submitted = easel.submit(prompt, **{**asked, "steps": 100})  # type: ignore[arg-type]
            with suppress(errors.AlreadyFinished):  # it was faster
                submitted.cancel()
        case "quote":
            assert easel.quote(prompt, steps=3, width=64, height=64).credits >= 1


async def do_async(easel: AsyncEasel, number: int, kind: str) -> None:
    asked = {"steps": 3, "width": 64, "height": 64, "metadata": {"call": str(number)}}
    prompt = f"pear {number}"
    match kind:
        case "follow events":
            submitted = await easel.submit(prompt, **asked)  # type: ignore[arg-type]
            events = [event async for event in submitted.stream()]
            assert (events[-1].kind, events[-1].status) == ("done", "completed")
        case "twice under one key":
            pair = [await easel.submit(prompt, idempotency_key=f"call-{number}", **asked) for _ in range(2)]  # type: ignore[arg-type]
            assert pair[0].id == pair[1].id
        case "quote":
            assert (await easel.quote(prompt, steps=3, width=64, height=64)).credits >= 1
        case _:
            made = await easel.generate(prompt, **asked)  # type: ignore[arg-type]
            assert len(await made.images[0].read()) == made.images[0].bytes


def once_each(customer: Customer, expected: set[int]) -> None:
    """The server's own books: each call's generation once, charged once, and nothing else."""
    with platform_role():
        rows = Generation.objects.filter(tenant_id=customer.id)
        made = Counter(int(row.metadata["call"]) for row in rows)
    assert {call: count for call, count in made.items() if count != 1} == {}
    assert set(made) == expected
    assert proof.charged_wrongly([customer.id]) == []


@pytest.mark.parametrize("self_signed", [False, True], ids=["fetched tokens", "self-signed"])
def test_every_call_of_many_threads_ends_right(proxy: FaultyProxy, self_signed: bool) -> None:
    customer, calls = make_customer("Stubborn"), plan(CALLS // 3, seed=1)
    with (
        Easel(proxy.url, customer.key.public_id, customer.secret, retry=STUBBORN, self_signed=self_signed) as easel,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):
        for call in [threads.submit(do, easel, *each) for each in calls]:
            call.result(timeout=180)
    settle(customer)
    once_each(customer, {number for number, kind in calls if kind != "quote"})
    assert sum(proxy.counts.values()) > len(calls) / 4, proxy.counts
    assert len(proxy.counts) >= 8, proxy.counts


def test_every_call_of_many_tasks_ends_right(proxy: FaultyProxy) -> None:
    customer, calls = make_customer("Stubborn"), plan(CALLS - 2 * (CALLS // 3), seed=2)

    async def crowd() -> None:
        limit = anyio.CapacityLimiter(AT_ONCE * 2)
        async with AsyncEasel(proxy.url, customer.key.public_id, customer.secret, retry=STUBBORN) as easel:

            async def one(number: int, kind: str) -> None:
                async with limit:
                    await do_async(easel, number, kind)

            async with anyio.create_task_group() as tasks:
                for number, kind in calls:
                    tasks.start_soon(one, number, kind)

    anyio.run(crowd)
    settle(customer)
    once_each(customer, {number for number, kind in calls if kind != "quote"})
    assert sum(proxy.counts.values()) > len(calls) / 4, proxy.counts


def settle(customer: Customer) -> None:
    """What was submitted and never waited for ends, too."""
    deadline = time.monotonic() + 60
    while proof.unfinished([customer.id]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
