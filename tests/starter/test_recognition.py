"""The judgment counts whole seeds, and drawing continues where it was stopped."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from starter import drawn as drawing
from starter.concepts import Concept
from starter.drawn import DrawnPictures
from starter.questions import BY_NAME, CHINESE, SYNONYMS, Question, questions
from starter.recognition import Score, whole_seeds
from starter.styles import STYLES

CAT, DOG = (
    Concept(id=name, hexcode="", name=name, category="animals", synonyms=synonyms, tags=(), chinese=chinese)
    for name, synonyms, chinese in (("cat", ("kitty", "tabby"), ("猫", "一只猫")), ("dog", (), ("狗",)))
)


class Artist:
    """Draws a plain color that tells prompt and seed, and counts."""

    drawn: list[tuple[str, int]]

    def __init__(self, _: Path) -> None:
        Artist.drawn = []

    def draw(self, prompts: list[str], *, seeds: list[int]) -> list[Image.Image]:
        Artist.drawn += zip(prompts, seeds, strict=True)
        return [Image.new("RGB", (256, 256), color(*each)) for each in zip(prompts, seeds, strict=True)]


def color(prompt: str, seed: int) -> tuple[int, int, int]:
    return (sum(prompt.encode()) % 256, seed, len(prompt))


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DrawnPictures:
    monkeypatch.setattr(drawing, "Artist", Artist)
    return DrawnPictures(tmp_path)


def test_every_concept_is_asked_in_every_style_by_a_synonym_and_in_chinese() -> None:
    asked = questions([CAT, DOG], seeds=4)
    assert {(q.group, q.concept) for q in asked} == {
        *((style, concept) for style in BY_NAME for concept in (0, 1)), (SYNONYMS, 0), (CHINESE, 0), (CHINESE, 1),
    }  # fmt: skip
    assert len(asked) == 4 * 9
    assert f"{STYLES[1].before[0]} cat" in {q.prompt for q in asked}
    assert [q.seed for q in asked if q.group in BY_NAME] == sorted(q.seed for q in asked if q.group in BY_NAME)
    assert asked == questions([CAT, DOG], seeds=4)


def test_a_stopped_run_draws_only_what_is_missing(pictures: DrawnPictures, tmp_path: Path) -> None:
    asked = [Question(f"thing {number}", 0, BY_NAME[0], 0) for number in range(40)]
    pictures.draw(tmp_path, asked, part=0, parts=2)
    first = set(Artist.drawn)
    assert 0 < len(first) < len(asked)
    file = next(tmp_path.glob("*.jsonl"))
    file.write_text(file.read_text("utf-8")[:-100], "utf-8")  # killed in the middle of the last line
    pictures.draw(tmp_path, asked, part=0, parts=1)
    assert len(Artist.drawn) == len(asked) - len(first) + 1
    for (prompt, seed), pixels in pictures.load().items():
        assert tuple(pixels[0, 0]) == color(prompt, seed)
    assert len(pictures.load()) == len(asked)


def test_a_seed_that_is_not_whole_counts_for_nothing() -> None:
    asked = questions([CAT, DOG], seeds=2)
    lacking = next(q for q in asked if q.group == "cartoon" and q.seed == 1)
    counted = list(whole_seeds(asked, {(q.prompt, q.seed) for q in asked if q != lacking}))
    assert [q for q in counted if q.group == "cartoon" and q.seed == 1] == []
    assert len(counted) == len(asked) - 2


def test_a_score_counts_first_places_and_first_fives() -> None:
    score = Score()
    for rank in (0, 1, 4, 5):
        score.add(rank)
    assert str(score) == "25.0% | 75.0% | 4"


def test_what_is_kept_is_what_the_classifier_sees() -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)
    kept: Any = drawing.small(Image.fromarray(noisy))
    assert np.abs(kept - noisy.reshape(40, 6, 40, 6, 3).mean((1, 3))).max() <= 0.5
    assert torch.from_numpy(kept).shape == (40, 40, 3)
    assert json.loads(drawing.line_of(Question("猫", 0, CHINESE, 3), kept))[:2] == ["猫", 3]
