"""Stable Diffusion XL on the loop: the same pictures as plain diffusers draws, and one of any size."""

import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from generation.engine.families import StableDiffusionXL, family_of
from generation.engine.loading import Model
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint
from generation.engine.samplers import scheduler_of
from tests import tiny
from tests.engine.asking import TOLERANCE, a_drawing, admit, draw, farthest

WISHES: list[dict[str, Any]] = [
    {"sampler": "Euler a", "cfg_scale": 5.0},
    {"sampler": "DPM++ 2M Karras", "cfg_scale": 3.0},
    {"sampler": "UniPC", "cfg_scale": 7.0},
    {"sampler": "DDIM", "cfg_scale": 1.0},
    {"sampler": "Heun", "cfg_scale": 5.0, "width": 96},
]


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Checkpoint(name="xl", source=str(tiny.build_xl(tmp_path_factory.mktemp("xl"))))


@pytest.fixture(scope="module")
def pipeline(xl: Checkpoint) -> Any:
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(Path(xl.source), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_in_company_it_draws_what_plain_diffusers_draws(engine: LoopEngine, xl: Checkpoint, pipeline: Any) -> None:
    drawings = [
        a_drawing(xl, prompt=f"a cat, {at}", negative_prompt="b" * (at % 2), steps=3 + at, seed=at, **wishes)
        for at, wishes in enumerate(WISHES)
    ]
    futures = [admit(engine, drawing) for drawing in drawings]
    config = json.loads((Path(xl.source) / "scheduler" / "scheduler_config.json").read_text())
    for drawing, future in zip(drawings, futures, strict=True):
        pipeline.scheduler = scheduler_of(drawing, config)
        alone = pipeline(
            drawing.prompt,
            negative_prompt=drawing.negative_prompt or None,  # none at all is drawn otherwise than an empty one
            num_inference_steps=drawing.steps,
            guidance_scale=drawing.cfg_scale,
            width=drawing.width,
            height=drawing.height,
            generator=torch.Generator().manual_seed(drawing.seed),
        ).images[0]
        drawn = future.result(timeout=60).pixels
        assert drawn.std() > 10
        assert farthest(drawn, np.asarray(alone)) <= TOLERANCE, drawing.sampler


def test_without_a_negative_prompt_it_is_kept_away_from_nothing_as_its_author_has_it(
    xl: Checkpoint, pipeline: Any
) -> None:
    model = Model(checkpoint=xl, pipeline=pipeline, scheduler_config={})
    family = StableDiffusionXL(model)
    _, theirs, _, theirs_pooled = pipeline.encode_prompt("a cat", device="cpu", do_classifier_free_guidance=True)
    ours = family.encode_negative("")
    assert ours.pooled is not None
    assert ours.hidden.equal(theirs[0])
    assert ours.pooled.equal(theirs_pooled[0])
    assert not family.encode("", 1).hidden.equal(ours.hidden)
    assert family.encode_negative("blue").hidden.equal(family.encode("blue", 1).hidden)


def test_the_loop_steps_it_itself(xl: Checkpoint, pipeline: Any) -> None:
    model = Model(checkpoint=xl, pipeline=pipeline, scheduler_config={})
    assert isinstance(family_of(model), StableDiffusionXL)


def test_the_size_is_told_to_the_model(engine: LoopEngine, xl: Checkpoint) -> None:
    assert draw(engine, xl, width=136, height=72).pixels.shape == (72, 136, 3)
