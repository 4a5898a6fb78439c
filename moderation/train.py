"""`python -m moderation.train`: embeds the training prompts and fits the heads: small networks, several seeds of them.

Everything that is chosen (the networks' shape, the operating points) is chosen by cross-validation over the rounds of
themes: each round has people, things and sentences of its own, and is judged by networks that have seen none of it. The
test sets are only ever read by `moderation.evaluate`.
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

from moderation.data.make import LANGUAGES, load
from moderation.fitting import Floats, Network, Shape, balanced, fit
from moderation.screening.texts import HEADS, Embedder
from moderation.text.keywords import flagged_by_terms
from moderation.text.reading import readable

CATEGORIES: Final = (
    "sexual", "sexual/minors", "violence", "hate", "self-harm", "illegal", "public-figures", "private-persons",
    "political", "spam",
)  # fmt: skip
HARM: Final = "harm"  # any of them: catches what stands between two
LABELS: Final = (*CATEGORIES, HARM)
ROUNDS: Final = 3
MEMBERS: Final = 5  # networks that vote, each from another seed
SHAPES: Final = (
    Shape(hidden=0, dropout=0.0, decay=0.3, epochs=10),
    Shape(hidden=64, dropout=0.5, decay=0.3, epochs=10),
    Shape(hidden=128, dropout=0.5, decay=0.3, epochs=10),
    Shape(hidden=128, dropout=0.6, decay=1.0, epochs=16),
)
FALSE_ALARMS: Final = (
    0.006  # share of harmless prompts, of a round they have not seen, that the heads together may flag
)
Flags = NDArray[np.bool_]
WAYS: Final = {
    "en": ("draw {}", "a picture of {}", "create an image: {}", "{}, cinematic lighting, 8k", "i need {} for my blog"),
    "zh": ("画{}", "一张{}的图", "生成图片:{}", "{},电影光效,8k", "博客要用,{}"),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cache", type=Path, help="keep embeddings in this file")
    records = augmented(load("train"))
    features = embedded([each["text"] for each in records], arguments.parse_args().cache)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    course = Course((features - mean) / scale, records)
    shape = max(SHAPES, key=course.interception)
    thresholds = course.operating_points(course.out_of_round(shape))
    members = course.taught(shape)
    inner = np.stack([each.inner for each in members])
    outer = np.stack([each.outer for each in members])
    version = hashlib.sha256(inner.tobytes() + outer.tobytes() + thresholds.tobytes()).hexdigest()[:12]
    np.savez_compressed(
        HEADS, labels=np.array(LABELS), version=np.array(version), mean=mean, scale=scale, thresholds=thresholds,
        inner=inner.astype(np.float16), inner_bias=np.stack([each.inner_bias for each in members]),
        outer=outer.astype(np.float16), outer_bias=np.stack([each.outer_bias for each in members]),
    )  # fmt: skip
    print(f"heads {version}: {len(records)} prompts; {shape}")
    for label, threshold in zip(LABELS, thresholds, strict=True):
        print(f"  {label:16} operating point {threshold:.3f}")


class Course:
    """The training prompts with what is known of them. Arrays are [n, …]."""

    def __init__(self, inputs: Floats, records: Sequence[dict[str, str]]) -> None:
        self._inputs, self._records = inputs, records
        self._targets, self._weights = labels_of(records), weights_of(records)
        self._rounds = rounds_of(records)
        original = np.array(["of" not in each for each in records])
        self._harmful: Flags = np.asarray(self._targets[:, LABELS.index(HARM)] == 1)
        self._asked: Flags = original & self._harmful
        self._harmless: Flags = original & ~self._harmful
        self._known: dict[Shape, Floats] = {}

    def interception(self, shape: Shape) -> float:
        """The worse language's share of harmful prompts that terms or heads flag, at the points these heads get."""
        scores = self.out_of_round(shape)
        flagged: Flags = np.asarray((scores >= self.operating_points(scores)).any(axis=1))
        by_terms = [bool(self._asked[n]) and flagged_by_terms(each["text"]) for n, each in enumerate(self._records)]
        caught: Flags = np.asarray(flagged | np.array(by_terms))
        shares = {}
        for language in LANGUAGES:
            here = np.array([each["language"] == language for each in self._records])
            shares[language] = float(caught[here & self._asked].mean())
            alone, alarms = flagged[here & self._asked].mean(), flagged[here & self._harmless].mean()
            print(
                f"{shape} | {language} | {alone:.1%} by heads, {shares[language]:.1%} with terms | alarms {alarms:.2%}"
            )
        return min(shares.values())

    def out_of_round(self, shape: Shape) -> Floats:
        """[n, labels], each prompt judged by a network that has not seen its round."""
        if shape not in self._known:
            scores = np.zeros_like(self._targets)
            for round_ in range(ROUNDS):
                inside = self._rounds != round_
                weights = balanced(self._targets[inside], self._weights[inside])
                network = fit(self._inputs[inside], self._targets[inside], weights, shape, seed=round_)
                scores[~inside] = network(self._inputs[~inside])
            self._known[shape] = scores
        return self._known[shape]

    def operating_points(self, scores: Floats) -> Floats:
        """[labels]: for each the score that the same share of harmless prompts reaches; that share is as large as
        FALSE_ALARMS allows them all together."""
        harmless = scores[self._harmless]
        points = np.ones(len(LABELS), np.float32)
        for share in np.geomspace(1e-4, 2e-2, 60):
            tried = np.clip(np.quantile(harmless, 1 - share, axis=0), 0.2, 0.98).astype(np.float32)
            if (harmless >= tried).any(axis=1).mean() > FALSE_ALARMS:
                break
            points = tried
        return points

    def taught(self, shape: Shape) -> list[Network]:
        """By all that there is."""
        weights = balanced(self._targets, self._weights)
        return [fit(self._inputs, self._targets, weights, shape, seed=seed) for seed in range(MEMBERS)]


def augmented(records: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The prompts as the classifier will read them; some asked for, and some in pinyin or in another order of words."""
    chance = random.Random("augment")
    made = [{**each, "text": readable(each["text"])} for each in records]
    for each in list(made):
        if chance.random() < 0.15:
            asked = readable(chance.choice(WAYS[each["language"]]).format(each["text"]))
            made.append({**each, "text": asked, "of": each["text"]})
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
    return np.stack([known[text] for text in texts]).astype(np.float32)


def labels_of(records: Sequence[dict[str, str]]) -> Floats:
    """[n, labels] of 0 and 1. What sexualizes minors is sexual, too."""
    targets = np.zeros((len(records), len(LABELS)), np.float32)
    for row, each in enumerate(records):
        if each["label"].startswith("none/"):
            continue
        targets[row, LABELS.index(each["label"])] = targets[row, LABELS.index(HARM)] = 1
        if each["label"] == "sexual/minors":
            targets[row, LABELS.index("sexual")] = 1
    return targets


def weights_of(records: Sequence[dict[str, str]]) -> Floats:
    """[n, labels]. Another category's prompts say little against this one: sentences often belong to two."""
    weights = np.ones((len(records), len(LABELS)), np.float32)
    for row, each in enumerate(records):
        if not each["label"].startswith("none/"):
            for column, label in enumerate(LABELS):
                if label not in {each["label"], HARM} and {label, each["label"]} != {"sexual", "sexual/minors"}:
                    weights[row, column] = 0.3
    return weights


def rounds_of(records: Sequence[dict[str, str]]) -> NDArray[np.int64]:
    """What is left out together: rounds of themes, folded to as many as every label has."""
    return np.array([int(each["round"]) % ROUNDS for each in records])


if __name__ == "__main__":
    main()
