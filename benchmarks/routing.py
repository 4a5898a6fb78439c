"""What routing adds to a request: the embedding by the screening process, then the head; new prompts and known ones."""

import statistics
import time
from collections.abc import Sequence

from benchmarks.table import Table, milliseconds
from easel.embedded.stack import Stack

PROMPTS = 60


def measure(stack: Stack) -> Table:
    from generation import categories, routing
    from moderation.screening.client import embed, forget

    forget()
    prompts = [f"a photograph of the number {number} on a wooden door" for number in range(PROMPTS)]
    categories.head()
    embed(["warm up"])
    new, heads, known = [], [], []
    for prompt in prompts:
        new.append(_seconds(lambda prompt=prompt: embed([prompt])))
        (embedding,) = embed([prompt])
        heads.append(_seconds(lambda embedding=embedding: categories.head().guess(embedding)))
        known.append(_seconds(lambda prompt=prompt: routing.guess({"model": "auto", "prompt": prompt})))
    return Table(
        "Routing",
        f"{PROMPTS} prompts, median and worst. The embedding is shared with moderation. Limits we set ourselves: 25 ms "
        "for a new prompt beyond the embedding, 2 ms for a known one.",
        ["embedding, new prompt", "category from it", "all of it, known prompt"],
        [[_both(new), _both(heads), _both(known)]],
    )


def _seconds(act: object) -> float:
    started = time.perf_counter()
    act()  # type: ignore[operator]
    return time.perf_counter() - started


def _both(seconds: Sequence[float]) -> str:
    return f"{milliseconds(statistics.median(seconds))} ({milliseconds(max(seconds))})"
