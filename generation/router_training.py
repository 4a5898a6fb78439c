"""`python -m generation.router_training`: fit the head that routes prompts, and say how good it is.

Linear discriminant analysis over the embeddings of the screening process: one mean a category, one covariance for all,
shrunk towards a sphere because there are more directions than prompts (Ledoit and Wolf, 2004). How much it is shrunk,
how sharp its probabilities are and from which confidence on they are believed are chosen by cross-validation on
`train.tsv`. `held_out.tsv` is looked at only to be reported. With `--check` the stored head is compared with what
training gives, and nothing is written.
"""

import csv
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from generation.categories import CATEGORIES, DATA, HEAD, Head

FOLDS: Final = 7
SHRINKAGES: Final = (0.2, 0.4, 0.6, 0.8)
SHARPNESS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
BELIEVED: Final = 0.97  # what is acted on shall be right so often, in cross-validation
LANGUAGES: Final = ("en", "zh")

Floats = NDArray[np.float64]


class Embeds(Protocol):
    def embed(self, texts: list[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Labeled:
    prompts: list[str]
    languages: list[str]
    labels: NDArray[np.int64]  # [n], index into CATEGORIES

    @classmethod
    def read(cls, path: Path) -> "Labeled":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        return cls(
            [row["prompt"] for row in rows],
            [row["language"] for row in rows],
            np.array([CATEGORIES.index(row["category"]) for row in rows]),
        )


@dataclass(frozen=True)
class Fit:
    weights: Floats  # [categories, 384]
    bias: Floats  # [categories]

    def logits(self, embeddings: Floats) -> Floats:
        return np.asarray(embeddings @ self.weights.T + self.bias)

    def sharpened(self, by: float) -> "Fit":
        return Fit(self.weights * by, self.bias * by)


def fit(embeddings: Floats, labels: NDArray[np.int64], shrinkage: float) -> Fit:
    """`embeddings` is [n, 384]."""
    means = np.stack([embeddings[labels == label].mean(axis=0) for label in range(len(CATEGORIES))])
    around = embeddings - means[labels]
    covariance = around.T @ around / len(around)
    directions = len(covariance)
    sphere = np.trace(covariance) / directions * np.eye(directions)
    weights = np.linalg.solve((1 - shrinkage) * covariance + shrinkage * sphere, means.T).T
    return Fit(weights, -0.5 * (weights * means).sum(axis=1))


def cross_validated(embeddings: Floats, labels: NDArray[np.int64], shrinkage: float) -> Floats:
    """[n, categories]: each prompt judged by a head that has not seen it."""
    logits = np.zeros((len(labels), len(CATEGORIES)))
    folds = np.random.default_rng(0).permutation(len(labels)) % FOLDS
    for fold in range(FOLDS):
        out = folds == fold
        logits[out] = fit(embeddings[~out], labels[~out], shrinkage).logits(embeddings[out])
    return logits


def threshold_of(likely: Floats, labels: NDArray[np.int64]) -> float:
    """The lowest confidence from which on the judgments are right as often as BELIEVED asks."""
    confidence, right = likely.max(axis=1), likely.argmax(axis=1) == labels
    for threshold in np.arange(0.2, 0.95, 0.01):
        if right[confidence >= threshold].mean() >= BELIEVED:
            return round(float(threshold), 2)
    return 0.95


def train(embedder: Embeds) -> Head:
    texts = Labeled.read(DATA / "train.tsv")
    embeddings, labels = np.asarray(embedder.embed(texts.prompts), dtype=np.float64), texts.labels
    judged = {shrinkage: cross_validated(embeddings, labels, shrinkage) for shrinkage in SHRINKAGES}
    shrinkage = max(SHRINKAGES, key=lambda each: _accuracy(judged[each], labels))
    sharpness = min(SHARPNESS, key=lambda each: _surprise(judged[shrinkage] * each, labels))
    right = _accuracy(judged[shrinkage], labels)
    print(f"{len(labels)} prompts, shrinkage {shrinkage}, sharpness {sharpness}, cross-validated accuracy {right:.3f}")
    fitted = fit(embeddings, labels, shrinkage).sharpened(sharpness)
    return Head(
        labels=CATEGORIES,
        weights=tuple(tuple(round(float(value), 3) for value in row) for row in fitted.weights),
        bias=tuple(round(float(value), 3) for value in fitted.bias),
        threshold=threshold_of(_softmax(judged[shrinkage] * sharpness), labels),
        version=hashlib.sha256((DATA / "train.tsv").read_bytes()).hexdigest()[:12],
    )


def report(head: Head, embedder: Embeds) -> dict[str, float]:
    """Print accuracy, the share that is acted on, and the confusions of the held-out part; returns the accuracies."""
    texts = Labeled.read(DATA / "held_out.tsv")
    guesses = [head.guess(row.tolist()) for row in embedder.embed(texts.prompts)]
    accuracies = {}
    for language in LANGUAGES:
        chosen = [at for at, each in enumerate(texts.languages) if each == language]
        right = [guesses[at].category == CATEGORIES[texts.labels[at]] for at in chosen]
        sure = [guesses[at].confidence >= head.threshold for at in chosen]
        acted = [good for good, believed in zip(right, sure, strict=True) if believed]
        accuracies[language] = sum(right) / len(right)
        print(
            f"held out, {language}: {sum(right)} of {len(right)} right ({accuracies[language]:.3f}); at confidence "
            f"{head.threshold} or more {len(acted)}, of which {sum(acted)} right"
        )
    table = np.zeros((len(CATEGORIES), len(CATEGORIES)), dtype=int)
    for label, guess in zip(texts.labels, guesses, strict=True):
        table[label, CATEGORIES.index(guess.category)] += 1
    print("\n| written as → taken for | " + " | ".join(CATEGORIES) + " |\n|---|" + "---|" * len(CATEGORIES))
    for name, row in zip(CATEGORIES, table, strict=True):
        print(f"| {name} | " + " | ".join(str(count or "") for count in row) + " |")
    return accuracies


def write(head: Head) -> None:
    stored = {
        "labels": head.labels, "threshold": head.threshold, "version": head.version, "bias": head.bias,
        "weights": head.weights,
    }  # fmt: skip
    HEAD.write_text(json.dumps(stored, separators=(",", ":")) + "\n", encoding="utf-8")


def same(one: Head, other: Head) -> bool:
    """Up to rounding, which differs between processors."""
    close = np.allclose(one.weights, other.weights, atol=0.05) and np.allclose(one.bias, other.bias, atol=0.1)
    return bool(close) and (one.labels, one.version) == (other.labels, other.version)


def _softmax(logits: Floats) -> Floats:
    likely = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))


def _accuracy(logits: Floats, labels: NDArray[np.int64]) -> float:
    return float((logits.argmax(axis=1) == labels).mean())


def _surprise(logits: Floats, labels: NDArray[np.int64]) -> float:
    return float(-np.log(_softmax(logits)[np.arange(len(labels)), labels] + 1e-12).mean())


def main(words: list[str]) -> int:
    from moderation.screening.texts import Embedder

    embedder = Embedder()
    head = train(embedder)
    report(head, embedder)
    if "--check" in words:
        return 0 if same(head, Head.read(HEAD)) else 1
    write(head)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
