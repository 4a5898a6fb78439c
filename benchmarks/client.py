"""The asynchronous claim: with an engine that takes a second a picture and no processor time, one process of the
asynchronous client keeps every slot busy."""

import time

import anyio

from benchmarks.table import Table
from easel.embedded.stack import Stack

SLOTS = 8
STEPS = 20
PICTURES = SLOTS * 12


def measure(stack: Stack) -> Table:
    from tests.cast import make_customer
    from tests.sdk.town import town

    customer = make_customer("Asynchronous", plan="business")  # which lets it have as many running as there are slots
    with town(stack, slots=SLOTS, step_seconds=1 / STEPS) as place:
        seconds = anyio.run(draw, place.base_url, customer.key.public_id, customer.secret)
    rate = PICTURES / seconds
    return Table(
        "The asynchronous client",
        f"{PICTURES} pictures asked for at once by one AsyncEasel, from an engine that takes 1 s for each and draws "
        f"{SLOTS} at a time: from before the first request until every file has been fetched and its digest checked. "
        "The limit we set ourselves is 0.9 × slots.",
        ["slots", "pictures/s", "of what the engine can do"],
        [[str(SLOTS), f"{rate:.2f}", f"{rate / SLOTS:.0%}"]],
    )


async def draw(base_url: str, key: str, secret: str) -> float:
    from easel_client import AsyncEasel

    async with AsyncEasel(base_url, key, secret) as easel:
        await easel.models()  # the token is there

        async def one(number: int) -> None:
            made = await easel.generate(f"apple {number}", steps=STEPS, width=64, height=64)
            await made.images[0].read()

        begun = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for number in range(PICTURES):
                tasks.start_soon(one, number)
        return time.monotonic() - begun
