"""`python -m moderation.evaluate`: reads the test sets with the layers as they run, and prints the tables of
docs/moderation.md, with exact (Clopper-Pearson) 95 % intervals."""

import argparse
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import beta

from moderation.data.make import load
from moderation.screening.texts import Heads, highest
from moderation.text.keywords import flagged_by_terms
from moderation.text.parts import Parted
from moderation.text.reading import readable
from moderation.train import CATEGORIES, embedded


@dataclass(frozen=True)
class Read:
    """A prompt, and which layers flagged it."""

    record: dict[str, str]
    terms: bool
    classifier: bool

    @property
    def flagged(self) -> bool:
        return self.terms or self.classifier

    @property
    def kind(self) -> str:
        return "hard negatives" if self.record["label"].startswith("none/") else "positives"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cache", type=Path, help="keep embeddings in this file")
    cache = arguments.parse_args().cache
    heads = Heads()
    print(f"heads {heads.version}\n")
    for part, title in (("test", "First set"), ("fresh", "Second set"), ("third", "Third set")):
        found = read(part, heads, cache)
        table(title, found, lambda each: f"{each.record['language']} {each.kind}")
        table(f"{title} by category", found, lambda each: f"{each.record['language']} {each.record['label']}")
    for kind, records in padded(load("test")).items():
        table(f"Padded: {kind}", judged(records, heads, cache), lambda each: each.record["language"])
    adversarial = read("adversarial", heads, cache)
    table("Adversarial", adversarial, lambda each: each.record["language"])
    table("By trick", adversarial, lambda each: f"{each.record['language']} {each.record['trick']}")


def read(part: str, heads: Heads, cache: Path | None) -> list[Read]:
    return judged(load(part), heads, cache)


def judged(records: Sequence[dict[str, str]], heads: Heads, cache: Path | None) -> list[Read]:
    parted = Parted.of(readable(each["text"]) for each in records)
    scores = heads.scores(parted.flat, embedded(parted.flat, cache).astype("float32"))
    worst = [highest(scores[rows]) for rows in parted.rows]
    return [
        Read(each, flagged_by_terms(each["text"]), max(found[name] for name in (*CATEGORIES, "harm")) >= 0.5)
        for each, found in zip(records, worst, strict=True)
    ]


def padded(records: Sequence[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """Positives that no term flags, each somewhere among eight everyday prompts; and nine of those by themselves."""
    chance = random.Random("padded")
    positives: list[dict[str, str]] = []
    harmless: list[dict[str, str]] = []
    for language, comma in (("en", ", "), ("zh", "\uff0c")):
        here = [each for each in records if each["language"] == language]
        everyday = [each["text"] for each in here if each["label"] == "none/daily"]
        for each in here:
            if each["label"].startswith("none/") or flagged_by_terms(each["text"]):
                continue
            around, place = chance.sample(everyday, 8), chance.randrange(9)
            text = comma.join([*around[:place], each["text"], *around[place:]])
            positives.append({**each, "text": text})
            alone = comma.join(chance.sample(everyday, 9))
            harmless.append({**each, "label": "none/daily", "text": alone})
    return {"positives": positives, "harmless": harmless}


def table(title: str, reads: Sequence[Read], key: Callable[[Read], str]) -> None:
    groups: dict[str, list[Read]] = defaultdict(list)
    for each in reads:
        groups[key(each)].append(each)
    print(f"{title}\n\n| | n | flagged | share | 95 % interval | by terms alone | by the classifier alone |")
    print("|---|---|---|---|---|---|---|")
    for name, found in sorted(groups.items()):
        hits, n = sum(each.flagged for each in found), len(found)
        low, high = interval(hits, n)
        terms, classifier = sum(each.terms for each in found), sum(each.classifier for each in found)
        print(f"| {name} | {n} | {hits} | {hits / n:.1%} | {low:.1%}-{high:.1%} | {terms} | {classifier} |")
    print()


def interval(hits: int, n: int) -> tuple[float, float]:
    """Clopper and Pearson, "The use of confidence or fiducial limits", 1934."""
    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


if __name__ == "__main__":
    main()
