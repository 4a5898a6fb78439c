"""The asynchronous claim: with an engine that takes a second a picture and no processor time, one process of the
asynchronous client keeps every slot busy."""

import time

import anyio

from benchmarks.table import Table
from easel.embedded.stack import Stack

SLOTS = 8
STEPS = 20
WAYS = {  # pictures, and how many of them are under way at a time
    "all at once": (SLOTS * 12, SLOTS * 12),
    "four for each slot": (SLOTS * 30, SLOTS * 4),
}


def measure(stack: Stack) -> Table:
    from tests.cast import make_customer
    from tests.sdk.town import town

    customer = make_customer("Asynchronous", plan="business")  # which lets it have as many running as there are slots
    rows = []
    with town(stack, slots=SLOTS, step_seconds=1 / STEPS) as place:
        for way, (pictures, most) in WAYS.items():
            account = (place.base_url, customer.key.public_id, customer.secret)
            rate = pictures / anyio.run(draw, *account, pictures, most)
            rows.append([way, str(pictures), str(SLOTS), f"{rate:.2f}", f"{rate / SLOTS:.0%}"])
    return Table(
        "The asynchronous client",
        "One AsyncEasel asks for pictures, waits for them and fetches them, from an engine that takes 1 s for each and "
        f"draws {SLOTS} at a time: from before the first request until every file has been fetched and its digest "
        "checked. Client, web, worker and all services share the machine. The limit we set ourselves is 0.9 × slots, "
        "once the queue is never empty; what is asked for all at once spends its first seconds in being submitted.",
        ["under way", "pictures", "slots", "pictures/s", "of what the engine can do"],
        rows,
    )


async def draw(base_url: str, key: str, secret: str, pictures: int, most: int) -> float:
    from easel_client import AsyncEasel

    async with AsyncEasel(base_url, key, secret) as easel:
        await easel.models()  # the token is there
        places = anyio.CapacityLimiter(most)

        async def one(number: int) -> None:
            async with places:
                made = await easel.generate(f"apple {pictures * 1000 + number}", steps=STEPS, width=64, height=64)
                await made.images[0].read()

        begun = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for number in range(pictures):
                tasks.start_soon(one, number)
        return time.monotonic() - begun
