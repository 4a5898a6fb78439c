"""With a quality target an image leaves when it is good enough, and only then; every image is told its score."""

from pathlib import Path

import pytest
import torch

from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint
from generation.engine.quality import settled
from tests.engine.asking import TOLERANCE, a_drawing, admit, draw, farthest

STARTER = Checkpoint(
    name="starter", source=str(Path(__file__).resolve().parents[2] / "starter" / "weights"), native_size=256
)
WISHES = {"prompt": "a red apple", "width": 256, "height": 256, "cfg_scale": 4.0, "sampler": "DPM++ 2M"}


def test_what_changes_less_scores_more() -> None:
    now = torch.ones(1, 4, 8, 8)
    assert settled(now, now) == 1
    assert settled(now, now * 0.9) == pytest.approx(0.9)
    assert settled(now, now * 0.99) > settled(now, now * 0.9) > settled(now, -now) == 0


def test_a_low_target_ends_at_min_steps(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    drawn = draw(engine, checkpoint, steps=12, quality_target=0.01, min_steps=5)
    assert drawn.steps_run == 5


def test_a_target_that_is_not_reached_changes_nothing(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    usual = draw(engine, checkpoint, steps=6)
    watched = draw(engine, checkpoint, steps=6, quality_target=1.0)
    assert watched.steps_run == 6
    assert farthest(watched.pixels, usual.pixels) <= TOLERANCE


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "Heun", "PLMS"])
def test_steps_run_are_steps_whatever_the_sampler_calls(
    engine: LoopEngine, checkpoint: Checkpoint, sampler: str
) -> None:
    assert draw(engine, checkpoint, steps=7, sampler=sampler).steps_run == 7


def test_an_image_that_leaves_early_is_nearly_the_whole_one(engine: LoopEngine) -> None:
    whole = draw(engine, STARTER, steps=30, **WISHES)
    early = draw(engine, STARTER, steps=30, quality_target=0.9, min_steps=24, **WISHES)
    assert 24 <= early.steps_run < 30
    difference = abs(whole.pixels.astype(float) - early.pixels.astype(float)).mean()
    assert difference < 10  # of 255


def test_leaving_early_changes_nothing_for_the_others(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    alone = draw(engine, checkpoint, steps=12, seed=3)
    stays = admit(engine, a_drawing(checkpoint, steps=12, seed=3))
    admit(engine, a_drawing(checkpoint, steps=12, quality_target=0.01, min_steps=2))
    assert farthest(stays.result(60).pixels, alone.pixels) <= TOLERANCE


def test_every_image_is_scored_and_says_what_drew_it(engine: LoopEngine) -> None:
    few, many = (draw(engine, STARTER, steps=steps, **WISHES) for steps in (4, 30))
    assert few.quality_score is not None
    assert many.quality_score is not None
    assert 0 < few.quality_score < many.quality_score <= 1
    assert {"easel", "torch", "diffusers", "device", "dtype"} <= many.engine.keys()
