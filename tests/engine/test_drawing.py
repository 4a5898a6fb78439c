"""What a picture depends on, and what it does not."""

import numpy as np
import pytest

from generation.engine.protocol import Checkpoint, Engine
from tests.engine.asking import draw


def test_a_seed_draws_the_same_picture_again_whatever_was_drawn_in_between(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    first = draw(engine, checkpoint, seed=3)
    draw(engine, checkpoint, seed=4, sampler="DPM++ 2M Karras", steps=6)
    again = draw(engine, checkpoint, seed=3)
    assert np.array_equal(first.pixels, again.pixels)


@pytest.mark.parametrize(
    "wish",
    [{"seed": 8}, {"prompt": "a dog"}, {"negative_prompt": "a cat"}, {"cfg_scale": 2.0}, {"steps": 5}],
    ids=lambda wish: next(iter(wish)),
)
def test_every_wish_changes_the_picture(wish: dict[str, object], engine: Engine, checkpoint: Checkpoint) -> None:
    usual = draw(engine, checkpoint)
    assert not np.array_equal(usual.pixels, draw(engine, checkpoint, **wish).pixels)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**63 - 1])
def test_every_seed_of_the_interface_is_a_seed_of_torch(seed: int, engine: Engine, checkpoint: Checkpoint) -> None:
    assert draw(engine, checkpoint, seed=seed).pixels.shape == (64, 64, 3)


@pytest.mark.parametrize("prompt", ["", "一只红色的猫", "naïve café 🐈‍⬛", "\n\t"])
def test_every_prompt_is_drawn(prompt: str, engine: Engine, checkpoint: Checkpoint) -> None:
    assert draw(engine, checkpoint, prompt=prompt).pixels.dtype == np.uint8


def test_a_size_the_model_cannot_make_is_cut_from_the_next_it_can(engine: Engine, checkpoint: Checkpoint) -> None:
    drawn = draw(engine, checkpoint, width=68, height=92)
    assert drawn.pixels.shape == (92, 68, 3)
    assert np.array_equal(drawn.pixels, draw(engine, checkpoint, width=72, height=96).pixels[2:94, 2:70])


def test_one_step_and_guidance_off_are_drawn_too(engine: Engine, checkpoint: Checkpoint) -> None:
    assert draw(engine, checkpoint, steps=1, cfg_scale=1.0, sampler="PLMS").steps_run == 1


def test_lcm_takes_more_steps_than_it_was_distilled_with(engine: Engine, checkpoint: Checkpoint) -> None:
    assert draw(engine, checkpoint, steps=51, sampler="LCM").steps_run == 51
