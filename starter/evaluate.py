"""Judge the exported model: recognition by a classifier, and timings.

Recognition asks for every concept by name in every style, by a synonym and in Chinese; a picture counts when
the classifier, which has seen the artwork only, ranks the concept first (top-1) or among five (top-5).
"""

import argparse
import json
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from starter.classifier import SIDE, Classifier, load_classifier, train_classifier
from starter.concepts import Concept
from starter.digest import WEIGHTS
from starter.sheets import GUIDANCE, STEPS, Artist
from starter.styles import STYLES
from starter.workspace import Workspace

SEEDS = 4
BATCH = 12


@dataclass(frozen=True)
class Question:
    """A prompt, and the concept (its index) that its picture should show. `group` names the table's row."""

    prompt: str
    concept: int
    group: str
    seed: int


@dataclass
class Score:
    top1: int = 0
    top5: int = 0
    asked: int = 0

    def add(self, rank: int) -> None:
        self.top1 += rank < 1
        self.top5 += rank < 5
        self.asked += 1

    def row(self) -> dict[str, float]:
        return {
            "top1": round(self.top1 / self.asked, 4),
            "top5": round(self.top5 / self.asked, 4),
            "asked": self.asked,
        }


def evaluate(work: Workspace, folder: Path, *, per_group: int | None, seeds: int) -> dict[str, object]:
    """`per_group` takes a random sample of the questions of every group and seed; None asks them all."""
    concepts, _, _ = work.load_pictures()
    artist = Artist(folder)
    asked = [q for seed in range(seeds) for q in questions(concepts, seed, per_group)]
    random.Random(0).shuffle(asked)  # so that the scores on the way mean something
    scores, misses = recognize(artist, load_classifier(work), asked)
    result = {
        "recognition": table(scores),
        "missed": [concepts[i].name for i in misses],
        "seeds": seeds,
    }
    (work.root / "evaluation.json").write_text(json.dumps(result, indent=1, ensure_ascii=False), "utf-8")
    return result


def questions(concepts: list[Concept], seed: int, per_group: int | None) -> list[Question]:
    rng = random.Random(seed)
    groups = [
        [Question(phrase.format(c.name), i, style_id, seed) for i, c in enumerate(concepts)]
        for style_id, phrase in [(style.id, f"{style.before[0]} {{}}") for style in STYLES]
    ]
    groups.append(
        [Question(rng.choice(c.synonyms), i, "synonyms", seed) for i, c in enumerate(concepts) if c.synonyms]
    )
    groups.append([Question(rng.choice(c.chinese), i, "Chinese", seed) for i, c in enumerate(concepts)])
    return [q for group in groups for q in (rng.sample(group, per_group) if per_group else group)]


@torch.no_grad()
def recognize(
    artist: Artist, classifier: Classifier, asked: list[Question]
) -> tuple[dict[str, Score], list[int]]:
    """Scores by group (and over the three styles), and the concepts missed by name in the default style."""
    scores: dict[str, Score] = {}
    misses = []
    start = time.monotonic()
    for first in range(0, len(asked), BATCH):
        batch = asked[first : first + BATCH]
        images = artist.draw([q.prompt for q in batch], seeds=[q.seed for q in batch])
        for question, image in zip(batch, images, strict=True):
            rank = rank_of(classifier, image, question.concept)
            scores.setdefault(question.group, Score()).add(rank)
            if question.group in {style.id for style in STYLES}:
                scores.setdefault("all styles", Score()).add(rank)
            if question.group == STYLES[0].id and rank >= 5:
                misses.append(question.concept)
        if first // BATCH % 10 == 0:
            print(f"{first} of {len(asked)}, {time.monotonic() - start:.0f} s {table(scores)}", flush=True)
    return scores, misses


def table(scores: dict[str, Score]) -> dict[str, dict[str, float]]:
    return {group: scores[group].row() for group in sorted(scores)}


def rank_of(classifier: Classifier, image: Image.Image, concept: int) -> int:
    """0 when the classifier is surest of this concept."""
    pixels = torch.from_numpy(np.asarray(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 127.5 - 1
    scores = classifier(F.interpolate(pixels, SIDE, mode="area"))[0]
    return int((scores > scores[concept]).sum())


def timings(folder: Path) -> dict[str, float]:
    """Seconds an image, median of three, by batch size; two threads."""
    artist = Artist(folder)
    torch.set_num_threads(2)
    artist.draw(["a cat"], steps=2)
    result = {}
    for size in (1, 4, 8):
        spent = []
        for _ in range(3):
            start = time.monotonic()
            artist.pipeline(["a cat"] * size, num_inference_steps=STEPS, guidance_scale=GUIDANCE)
            spent.append((time.monotonic() - start) / size)
        result[f"batch {size}"] = round(statistics.median(spent), 3)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    Workspace.add_option(parser)
    parser.add_argument("what", choices=("classifier", "recognition", "timings"))
    parser.add_argument("--model", type=Path, default=WEIGHTS)
    parser.add_argument("--steps", type=int, default=2500, help="of classifier training")
    parser.add_argument("--per-group", type=int, help="sample so many prompts of each group and seed")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    workspace = Workspace.of(options)
    if options.what == "classifier":
        torch.set_num_threads(1)
        train_classifier(workspace, steps=options.steps)
    elif options.what == "recognition":
        found = evaluate(workspace, options.model, per_group=options.per_group, seeds=options.seeds)
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print(json.dumps(timings(options.model)))
