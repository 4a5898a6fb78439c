"""How often the classifiers recognize what was drawn: the table of the model card."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from starter.classifier import load_classifier, ranks, small_pictures
from starter.drawn import DrawnPictures, Pixels
from starter.questions import BY_NAME, Question
from starter.workspace import Workspace

ALL_STYLES = "all styles"


@dataclass
class Score:
    """How often the right concept came first, or among the first five."""

    top1: int = 0
    top5: int = 0
    asked: int = 0

    def add(self, rank: int) -> None:
        self.top1 += rank < 1
        self.top5 += rank < 5
        self.asked += 1

    def __str__(self) -> str:
        return f"{self.top1 / self.asked:.1%} | {self.top5 / self.asked:.1%} | {self.asked}"


@dataclass
class Recognition:
    """Scores by row of the table, and how often each (concept, style) was not among five."""

    scores: dict[str, Score] = field(default_factory=dict)
    by_seed: dict[int, Score] = field(default_factory=dict)
    missed: dict[tuple[int, str], int] = field(default_factory=dict)
    left_out: int = 0

    def add(self, question: Question, rank: int) -> None:
        self.scores.setdefault(question.group, Score()).add(rank)
        if question.group in BY_NAME:
            self.scores.setdefault(ALL_STYLES, Score()).add(rank)
            self.by_seed.setdefault(question.seed, Score()).add(rank)
            if rank >= 5:
                key = (question.concept, question.group)
                self.missed[key] = self.missed.get(key, 0) + 1


def recognize(work: Workspace, drawn: DrawnPictures, asked: Sequence[Question]) -> Recognition:
    """Judged by the classifier that knows all styles. A group counts by whole seeds; the rest is left out."""
    pictures = drawn.load()
    whole = list(whole_seeds(asked, pictures.keys()))
    found = Recognition(left_out=sum((q.prompt, q.seed) in pictures for q in asked) - len(whole))
    shown = as_input([pictures[q.prompt, q.seed] for q in whole])
    right = torch.tensor([q.concept for q in whole])
    for question, rank in zip(whole, ranks(load_classifier(work), shown, right).tolist(), strict=True):
        found.add(question, rank)
    return found


def recognize_unseen(
    work: Workspace, drawn: DrawnPictures, asked: Sequence[Question]
) -> dict[str, tuple[Score, Score]]:
    """For each style: (pictures drawn in it, its real artwork) as judged by a classifier that never saw the
    style. The second is the ceiling of the first. Styles whose classifier was not trained are left out.
    """
    pictures = drawn.load()
    whole = list(whole_seeds(asked, pictures.keys()))
    _, shown, _ = work.load_pictures()
    artwork = small_pictures(work)[:, 0, :3]
    result = {}
    for style in BY_NAME:
        if not work.classifier(style).exists():
            continue
        model = load_classifier(work, without=style)
        of_style = [q for q in whole if q.group == style]
        generated = as_input([pictures[q.prompt, q.seed] for q in of_style])
        real = [index for index, picture in enumerate(shown) if picture.style == style]
        result[style] = (
            score_of(ranks(model, generated, torch.tensor([q.concept for q in of_style])).tolist()),
            score_of(ranks(model, artwork[real], torch.tensor([shown[i].concept for i in real])).tolist()),
        )
    return result


def whole_seeds(asked: Sequence[Question], drawn: Iterable[tuple[str, int]]) -> Iterable[Question]:
    """The questions of every group and seed whose pictures are all there."""
    present = set(drawn)
    broken = {(q.group, q.seed) for q in asked if (q.prompt, q.seed) not in present}
    return (q for q in asked if (q.group, q.seed) not in broken)


def score_of(found: Iterable[int]) -> Score:
    score = Score()
    for rank in found:
        score.add(rank)
    return score


def as_input(pictures: Sequence[Pixels]) -> torch.Tensor:
    """[n, 3, 40, 40] in -1..1"""
    stacked = torch.from_numpy(np.stack(pictures)) if pictures else torch.empty(0, 40, 40, 3)
    return stacked.permute(0, 3, 1, 2).float() / 127.5 - 1
