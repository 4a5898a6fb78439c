"""The category of a prompt: a linear head over the sentence embedding that moderation's screening makes of it, too.

The head is `routing_data/head.json`, which `python -m generation.router_training` writes. It is small enough to be
applied without numpy, which the web process does not load.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import mul
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parent / "routing_data"
HEAD: Final = DATA / "head.json"
CATEGORIES: Final = ("portrait", "animal", "landscape", "architecture", "object", "cartoon", "abstract")


@dataclass(frozen=True, slots=True)
class Guess:
    """The likeliest category of a prompt, and how likely: from 0 to 1, all categories together being 1."""

    category: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Head:
    """`weights` is a row of 384 for each label; a guess below `threshold` is not acted on."""

    labels: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    threshold: float
    version: str

    @classmethod
    def read(cls, path: Path) -> "Head":
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            labels=tuple(stored["labels"]),
            weights=tuple(tuple(row) for row in stored["weights"]),
            bias=tuple(stored["bias"]),
            threshold=stored["threshold"],
            version=stored["version"],
        )

    def guess(self, embedding: Sequence[float]) -> Guess:
        logits = [bias + sum(map(mul, row, embedding)) for row, bias in zip(self.weights, self.bias, strict=True)]
        highest = max(logits)
        likely = [math.exp(logit - highest) for logit in logits]
        best = logits.index(highest)
        return Guess(self.labels[best], likely[best] / sum(likely))


@cache
def head() -> Head:
    return Head.read(HEAD)
