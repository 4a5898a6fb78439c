"""`python -m moderation.train`: embeds the training prompts and fits one logistic regression per category.

Everything that is chosen (strength of regularization, operating points) is chosen by cross-validation over the training
templates: the sentences of a template are never on both sides. The test set is only ever read by `moderation.evaluate`.
"""

import argparse
import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pypinyin
from numpy.typing import NDArray
from scipy.optimize import minimize

from moderation.data.make import HERE, LANGUAGES, filled, load, read
from moderation.screening.texts import HEADS, Embedder
from moderation.text.reading import readable

CATEGORIES: Final = (
    "sexual", "sexual/minors", "violence", "hate", "self-harm", "illegal", "public-figures", "private-persons",
    "political", "spam",
)  # fmt: skip
HARM: Final = "harm"  # any of them: catches what stands between two
LABELS: Final = (*CATEGORIES, HARM)
FOLDS: Final = 5
STRENGTHS: Final = (0.1, 0.3)
FALSE_ALARMS: Final = 0.0025  # share of harmless training prompts that one head may flag out of fold
Floats = NDArray[np.float64]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cache", type=Path, help="keep embeddings in this file")
    cache = arguments.parse_args().cache
    records = augmented(load("train"))
    features = embedded([each["text"] for each in records], cache)
    targets = labels_of(records)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scaled = (features - mean) / scale
    strength = max(STRENGTHS, key=lambda each: separation(scaled, targets, records, each))
    outside = out_of_fold(scaled, targets, records, strength)
    thresholds = operating_points(outside, records)
    weights, bias = fit(scaled, targets, strength, weights_of(records))
    version = hashlib.sha256(weights.tobytes() + bias.tobytes()).hexdigest()[:12]
    np.savez_compressed(
        HEADS, labels=np.array(LABELS), version=np.array(version), weights=weights.astype(np.float32),
        bias=bias.astype(np.float32), mean=mean.astype(np.float32), scale=scale.astype(np.float32),
        thresholds=thresholds.astype(np.float32),
    )  # fmt: skip
    print(f"heads {version}: {len(records)} prompts, strength {strength}")
    for label, threshold in zip(LABELS, thresholds, strict=True):
        print(f"  {label:16} operating point {threshold:.3f}")


def augmented(records: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The prompts as the classifier will read them, and some once more in pinyin or in another order of words."""
    chance = random.Random("augment")
    made = [{**each, "text": readable(each["text"])} for each in records]
    for each in list(made):
        if chance.random() >= 0.35:
            continue
        if each["language"] == "en":
            words = each["text"].split(" ")
            chance.shuffle(words)
            text = " ".join(words)
        elif chance.random() < 0.5:
            text = " ".join(pypinyin.lazy_pinyin(each["text"]))
        else:
            spelled = [pypinyin.lazy_pinyin(letter)[0] if chance.random() < 0.5 else letter for letter in each["text"]]
            text = "".join(spelled)
        made.append({**each, "text": text, "of": each["text"]})
    return made


def embedded(texts: Sequence[str], cache: Path | None) -> Floats:
    """[n, 384]."""
    known: dict[str, NDArray[np.float32]] = {}
    if cache is not None and cache.exists():
        with np.load(cache) as file:
            known = dict(zip(file["texts"].tolist(), file["rows"], strict=True))
    missing = [text for text in dict.fromkeys(texts) if text not in known]
    embedder = Embedder() if missing else None
    for start in range(0, len(missing), 64):
        batch = missing[start : start + 64]
        known.update(zip(batch, embedder.embed(batch), strict=True) if embedder else ())
    if cache is not None and missing:
        np.savez(cache, texts=np.array(list(known)), rows=np.stack(list(known.values())))
    return np.stack([known[text] for text in texts]).astype(np.float64)


def labels_of(records: Sequence[dict[str, str]]) -> Floats:
    """[n, labels] of 0 and 1. What sexualizes minors is sexual, too."""
    targets = np.zeros((len(records), len(LABELS)))
    for row, each in enumerate(records):
        if each["label"].startswith("none/"):
            continue
        targets[row, LABELS.index(each["label"])] = targets[row, LABELS.index(HARM)] = 1
        if each["label"] == "sexual/minors":
            targets[row, LABELS.index("sexual")] = 1
    return targets


def weights_of(records: Sequence[dict[str, str]]) -> Floats:
    """[n, labels]. Another category's prompts say little against this one: sentences often belong to two."""
    weights = np.ones((len(records), len(LABELS)))
    for row, each in enumerate(records):
        if not each["label"].startswith("none/"):
            for column, label in enumerate(LABELS):
                if label not in {each["label"], HARM} and {label, each["label"]} != {"sexual", "sexual/minors"}:
                    weights[row, column] = 0.3
    return weights


def fit(scaled: Floats, targets: Floats, strength: float, weights: Floats) -> tuple[Floats, Floats]:
    """[labels, 384] and [labels]: L2-regularized, both sides of a label weighing the same."""
    size = scaled.shape[1]
    found_weights, found_bias = np.zeros((targets.shape[1], size)), np.zeros(targets.shape[1])
    for column in range(targets.shape[1]):
        y, w = targets[:, column], weights[:, column].copy()
        w[y == 1] *= w[y == 0].sum() / max(1.0, w[y == 1].sum())
        w /= w.sum()

        def loss(theta: Floats, y: Floats = y, w: Floats = w) -> tuple[float, Floats]:
            logits = scaled @ theta[:-1] + theta[-1]
            value = (
                float(w @ (np.logaddexp(0, logits) - y * logits)) + 0.5 * strength * float(theta[:-1] @ theta[:-1]) / 10
            )
            error = w * (1 / (1 + np.exp(-logits)) - y)
            return value, np.append(scaled.T @ error + strength * theta[:-1] / 10, error.sum())

        theta = minimize(loss, np.zeros(size + 1), jac=True, method="L-BFGS-B", options={"maxiter": 120}).x
        found_weights[column], found_bias[column] = theta[:-1], theta[-1]
    return found_weights, found_bias


def out_of_fold(scaled: Floats, targets: Floats, records: Sequence[dict[str, str]], strength: float) -> Floats:
    """[n, labels] probabilities, each by a model that has not seen the prompt's template."""
    folds, weights = folds_of(records), weights_of(records)
    scores = np.zeros_like(targets)
    for fold in range(FOLDS):
        inside = folds != fold
        found, bias = fit(scaled[inside], targets[inside], strength, weights[inside])
        scores[~inside] = 1 / (1 + np.exp(-(scaled[~inside] @ found.T + bias)))
    return scores


def folds_of(records: Sequence[dict[str, str]]) -> NDArray[np.int64]:
    template = {
        readable(text): f"{section.label} {pattern}"
        for language in LANGUAGES
        for section in read(HERE / "sources" / f"train.{language}.txt")
        for pattern in section.templates
        for text in filled(pattern, section.slots)
    }
    names = [template[each.get("of", each["text"])] for each in records]
    return np.array([int(hashlib.sha256(name.encode()).hexdigest(), 16) % FOLDS for name in names])


def separation(scaled: Floats, targets: Floats, records: Sequence[dict[str, str]], strength: float) -> float:
    """Share of harmful prompts above the score that one harmless prompt in a hundred reaches, out of fold."""
    scores = out_of_fold(scaled, targets, records, strength)[:, LABELS.index(HARM)]
    harmful = targets[:, LABELS.index(HARM)] == 1
    return float((scores[harmful] > np.quantile(scores[~harmful], 0.99)).mean())


def operating_points(scores: Floats, records: Sequence[dict[str, str]]) -> Floats:
    """[labels]: the score that only FALSE_ALARMS of the harmless prompts reach, out of fold; 0.2 to 0.9."""
    harmless = np.array([each["label"].startswith("none/") and "of" not in each for each in records])
    points = np.quantile(scores[harmless], 1 - FALSE_ALARMS, axis=0)
    return np.asarray(np.clip(points, 0.2, 0.9))


if __name__ == "__main__":
    main()
