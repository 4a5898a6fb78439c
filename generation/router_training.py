"""`python -m generation.router_training`: fit the head that routes prompts, and say how good it is.

Multinomial logistic regression over the embeddings of the screening process. How strongly it is held back (the L2
penalty) and from which confidence on it is believed are chosen by cross-validation on `train.tsv`. `held_out.tsv` is
looked at once, at the end. With `--check` the stored head is compared with what training gives, and nothing is written.
"""

import csv
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generation.categories import CATEGORIES, DATA, HEAD, Head
from moderation.screening.texts import Embedder

FOLDS: Final = 5
PENALTIES: Final = (0.003, 0.01, 0.03)
STEPS: Final = 250
BELIEVED: Final = 0.97  # what is acted on shall be right so often, in cross-validation
# Words that people put before and after any prompt: they must not decide the category.
FRAMES: Final = {
    "en": ("{}", "{}, highly detailed, 8k, masterpiece", "a picture of {}", "{}, photorealistic, sharp focus"),
    "zh": ("{}", "{}，高清，细节丰富，杰作", "生成一张图：{}", "{}，写实，超清"),  # noqa: RUF001
}

Floats = NDArray[np.float64]


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

    def probabilities(self, embeddings: Floats) -> Floats:
        logits = embeddings @ self.weights.T + self.bias
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(likely / likely.sum(axis=1, keepdims=True))


def fit(embeddings: Floats, labels: NDArray[np.int64], penalty: float) -> Fit:
    """`embeddings` is [n, 384]. Adam on the whole set, from zero: the same on every machine up to rounding."""
    mean, scale = embeddings.mean(axis=0), embeddings.std(axis=0) + 1e-6
    inputs = np.hstack([(embeddings - mean) / scale, np.ones((len(embeddings), 1))])
    wanted = np.eye(len(CATEGORIES))[labels]
    weights = np.zeros((len(CATEGORIES), inputs.shape[1]))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        logits = inputs @ weights.T
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        gradient = (likely / likely.sum(axis=1, keepdims=True) - wanted).T @ inputs / len(inputs)
        gradient[:, :-1] += penalty * weights[:, :-1]
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        weights -= 0.03 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-9)
    plain = weights[:, :-1] / scale
    return Fit(plain, weights[:, -1] - plain @ mean)


def framed(texts: Labeled) -> tuple[list[str], NDArray[np.int64]]:
    """Every prompt in each of its language's frames: [n × frames] texts, and which prompt each came from."""
    pairs = [
        (frame.format(prompt), index)
        for index, (prompt, language) in enumerate(zip(texts.prompts, texts.languages, strict=True))
        for frame in FRAMES[language]
    ]
    return [text for text, _ in pairs], np.array([index for _, index in pairs])


def cross_validated(embeddings: Floats, labels: NDArray[np.int64], origin: NDArray[np.int64], penalty: float) -> Floats:
    """[n, categories]: each text judged by a head that has seen no frame of its prompt."""
    judged = np.zeros((len(labels), len(CATEGORIES)))
    for fold in range(FOLDS):
        out = origin % FOLDS == fold
        judged[out] = fit(embeddings[~out], labels[~out], penalty).probabilities(embeddings[out])
    return judged


def threshold_of(judged: Floats, labels: NDArray[np.int64]) -> float:
    """The lowest confidence from which on the judgments are right as often as BELIEVED asks."""
    confidence, right = judged.max(axis=1), judged.argmax(axis=1) == labels
    for threshold in np.arange(0.2, 0.95, 0.01):
        if right[confidence >= threshold].mean() >= BELIEVED:
            return round(float(threshold), 2)
    return 0.95


def train(embedder: Embedder) -> Head:
    texts = Labeled.read(DATA / "train.tsv")
    prompts, origin = framed(texts)
    embeddings, labels = np.asarray(embedder.embed(prompts), dtype=np.float64), texts.labels[origin]
    judged = {penalty: cross_validated(embeddings, labels, origin, penalty) for penalty in PENALTIES}
    penalty = min(PENALTIES, key=lambda each: _loss(judged[each], labels))
    fitted = fit(embeddings, labels, penalty)
    right = (judged[penalty].argmax(axis=1) == labels).mean()
    print(f"{len(texts.prompts)} prompts, penalty {penalty}, cross-validated accuracy {right:.3f}")
    return Head(
        labels=CATEGORIES,
        weights=tuple(tuple(round(float(value), 4) for value in row) for row in fitted.weights),
        bias=tuple(round(float(value), 4) for value in fitted.bias),
        threshold=threshold_of(judged[penalty], labels),
        version=hashlib.sha256((DATA / "train.tsv").read_bytes()).hexdigest()[:12],
    )


def report(head: Head, embedder: Embedder) -> dict[str, float]:
    """Print accuracy, the share that is acted on, and the confusions of the held-out part; returns the accuracies."""
    texts = Labeled.read(DATA / "held_out.tsv")
    embeddings = np.asarray(embedder.embed(texts.prompts), dtype=np.float64)
    guesses = [head.guess(row.tolist()) for row in embeddings]
    accuracies = {}
    for language in FRAMES:
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
    close = np.allclose(one.weights, other.weights, atol=0.02) and np.allclose(one.bias, other.bias, atol=0.05)
    return bool(close) and (one.labels, one.threshold, one.version) == (other.labels, other.threshold, other.version)


def _loss(judged: Floats, labels: NDArray[np.int64]) -> float:
    return float(-np.log(judged[np.arange(len(labels)), labels] + 1e-12).mean())


def main(words: list[str]) -> int:
    embedder = Embedder()
    head = train(embedder)
    report(head, embedder)
    if "--check" in words:
        return 0 if same(head, Head.read(HEAD)) else 1
    write(head)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
