"""`python -m moderation.train`: embeds the training prompts and fits the heads: small networks over the embedding,
several seeds of them, beside logistic regressions over the prompt's runs of letters.

Everything that is chosen (the networks' shape, how far the regressions are believed, the operating points) is chosen by
cross-validation over rounds: each round of themes, and each manner of writing, has people, things and sentences of its
own, and is judged by heads that have seen none of it. The test sets are only ever read by `moderation.evaluate`.
"""

import argparse
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import pypinyin
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from moderation import logistic
from moderation.data.make import LANGUAGES, load
from moderation.fitting import Floats, Network, Shape, balanced, fit
from moderation.screening.texts import HEADS, Embedder, together
from moderation.text.keywords import flagged_by_terms
from moderation.text.reading import readable

CATEGORIES: Final = (
    "sexual", "sexual/minors", "violence", "hate", "self-harm", "illegal", "public-figures", "private-persons",
    "political", "spam",
)  # fmt: skip
HARM: Final = "harm"  # any of them: catches what stands between two
LABELS: Final = (*CATEGORIES, HARM)
FOLDS: Final = 5
MEMBERS: Final = 5  # networks that vote, each from another seed
SHAPES: Final = (
    Shape(hidden=64, dropout=0.5, decay=0.3, epochs=10),
    Shape(hidden=128, dropout=0.5, decay=0.3, epochs=10),
    Shape(hidden=128, dropout=0.6, decay=1.0, epochs=16),
)
DECAYS: Final = (1e-5, 5e-5)  # of the regressions
SHARES: Final = (0.0, 0.3, 0.5, 0.7)  # of the regressions' word against the networks'
FALSE_ALARMS: Final = 0.01  # the goal: the share of harmless prompts, of an unseen round, that all heads may flag
Flags = NDArray[np.bool_]
WAYS: Final = {
    "en": ("draw {}", "a picture of {}", "create an image: {}", "{}, cinematic lighting, 8k", "i need {} for my blog"),
    "zh": ("画{}", "一张{}的图", "生成图片:{}", "{},电影光效,8k", "博客要用,{}"),
}


@dataclass(frozen=True)
class Choice:
    """What is chosen by cross-validation."""

    shape: Shape
    decay: float
    share: float

    def __str__(self) -> str:
        return f"{self.shape}; runs of letters: decay {self.decay}, share {self.share}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cache", type=Path, help="keep embeddings in this file")
    records = augmented(load("train"))
    texts = [each["text"] for each in records]
    features = embedded(texts, arguments.parse_args().cache)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    course = Course((features - mean) / scale, logistic.matrix(texts), records)
    choice = course.choice
    thresholds = course.operating_points(course.out_of_round(choice, members=MEMBERS))
    course.report(choice, thresholds)
    members, weights = course.taught(choice)
    arrays = {
        "inner": np.stack([each.inner for each in members]).astype(np.float16),
        "inner_bias": np.stack([each.inner_bias for each in members]),
        "outer": np.stack([each.outer for each in members]).astype(np.float16),
        "outer_bias": np.stack([each.outer_bias for each in members]),
        "runs": weights.weights.astype(np.float16), "runs_bias": weights.bias, "share": np.float32(choice.share),
        "mean": mean, "scale": scale, "thresholds": thresholds,
    }  # fmt: skip
    version = hashlib.sha256(b"".join(each.tobytes() for each in arrays.values())).hexdigest()[:12]
    np.savez_compressed(HEADS, labels=np.array(LABELS), version=np.array(version), **arrays)
    print(f"heads {version}: {len(records)} prompts; {choice}")
    for label, threshold in zip(LABELS, thresholds, strict=True):
        print(f"  {label:16} operating point {threshold:.3f}")


class Course:
    """The training prompts with what is known of them. Arrays are [n, …]."""

    def __init__(self, inputs: Floats, runs: "csr_matrix[Any]", records: Sequence[dict[str, str]]) -> None:
        self._inputs, self._runs, self._records = inputs, runs, records
        self._targets, self._weights = labels_of(records), weights_of(records)
        self._folds = folds_of(records)
        original = np.array(["of" not in each for each in records])
        self._harmful: Flags = np.asarray(self._targets[:, LABELS.index(HARM)] == 1)
        self._asked: Flags = original & self._harmful
        self._harmless: Flags = original & ~self._harmful
        self._by_networks: dict[tuple[Shape, int], Floats] = {}
        self._by_runs: dict[float, Floats] = {}

    @cached_property
    def choice(self) -> Choice:
        """The shape is chosen first, by itself."""
        shape = max(SHAPES, key=lambda shape: self.interception(Choice(shape, DECAYS[0], 0.0)))
        choices = [Choice(shape, decay, share) for decay, share in product(DECAYS, SHARES)]
        return max(choices, key=self.interception)

    def interception(self, choice: Choice) -> float:
        """The worse language's share of harmful prompts that terms or heads flag, at the points these heads get."""
        scores = self.out_of_round(choice)
        flagged: Flags = np.asarray((scores >= self.operating_points(scores)).any(axis=1))
        caught: Flags = flagged | self._by_terms
        shares = {}
        for language in LANGUAGES:
            here = self._written_in(language)
            shares[language] = float(caught[here & self._asked].mean())
            alone, alarms = flagged[here & self._asked].mean(), flagged[here & self._harmless].mean()
            print(f"{choice} | {language} | {alone:.1%}, with terms {shares[language]:.1%} | alarms {alarms:.2%}")
        return min(shares.values())

    def report(self, choice: Choice, thresholds: Floats) -> None:
        """How each round fares while it is unseen, and each category."""
        flagged: Flags = np.asarray((self.out_of_round(choice, members=MEMBERS) >= thresholds).any(axis=1))
        caught = flagged | self._by_terms
        for field in ("round", "label"):
            for name in sorted({each[field] for each in self._records}):
                here = np.array([each[field] == name for each in self._records])
                told = []
                for language in LANGUAGES:
                    asked, harmless = (
                        here & kind & self._written_in(language) for kind in (self._asked, self._harmless)
                    )
                    told.append(f"{language} {caught[asked].mean():.1%} of {asked.sum()}" if asked.any() else "")
                    told.append(
                        f"{language} alarms {flagged[harmless].mean():.1%} of {harmless.sum()}"
                        if harmless.any()
                        else ""
                    )
                print(f"  {name:20} {' | '.join(filter(None, told))}")

    def out_of_round(self, choice: Choice, *, members: int = 1) -> Floats:
        """[n, labels], each prompt judged by heads that have not seen its round."""
        networks = self._networks_out_of_round(choice.shape, members)
        return together(networks, self._runs_out_of_round(choice.decay), choice.share) if choice.share else networks

    def _networks_out_of_round(self, shape: Shape, members: int) -> Floats:
        known = self._by_networks.get((shape, members))
        if known is None:
            known = self._by_networks[shape, members] = np.zeros_like(self._targets)
            for fold in range(FOLDS):
                inside = self._folds != fold
                weights = balanced(self._targets[inside], self._weights[inside])
                for seed in range(members):
                    network = fit(self._inputs[inside], self._targets[inside], weights, shape, seed=seed)
                    known[~inside] += network(self._inputs[~inside]) / members
        return known

    def _runs_out_of_round(self, decay: float) -> Floats:
        """Logits."""
        known = self._by_runs.get(decay)
        if known is None:
            known = self._by_runs[decay] = np.zeros_like(self._targets)
            for fold in range(FOLDS):
                inside = self._folds != fold
                weights = balanced(self._targets[inside], self._weights[inside])
                fitted = logistic.fit(self._runs[inside], self._targets[inside], weights, decay=decay)
                known[~inside] = fitted.logits(self._runs[~inside])
        return known

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

    def taught(self, choice: Choice) -> tuple[list[Network], logistic.Weights]:
        """By all that there is."""
        weights = balanced(self._targets, self._weights)
        members = [fit(self._inputs, self._targets, weights, choice.shape, seed=seed) for seed in range(MEMBERS)]
        return members, logistic.fit(self._runs, self._targets, weights, decay=choice.decay)

    @cached_property
    def _by_terms(self) -> Flags:
        """Those asked for that terms flag."""
        return np.array(
            [bool(self._asked[n]) and flagged_by_terms(each["text"]) for n, each in enumerate(self._records)]
        )

    def _written_in(self, language: str) -> Flags:
        return np.array([each["language"] == language for each in self._records])


def augmented(records: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The prompts as the classifier will read them; some asked for, and some in pinyin or in another order of words."""
    chance = random.Random("augment")
    made = [{**each, "text": readable(each["text"])} for each in records]
    for each in list(made):
        if chance.random() < 0.08:
            asked = readable(chance.choice(WAYS[each["language"]]).format(each["text"]))
            made.append({**each, "text": asked, "of": each["text"]})
        if chance.random() >= 0.22:
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


def folds_of(records: Sequence[dict[str, str]]) -> NDArray[np.int64]:
    """Which prompts are left out together: whole rounds, dealt out to FOLDS in the order of their names."""
    names = sorted({each["round"] for each in records})
    return np.array([names.index(each["round"]) % FOLDS for each in records])


if __name__ == "__main__":
    main()
