"""Easel's engine draws, redraws and paints with the starter what diffusers' own pipelines do."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForImage2Image, DiffusionPipeline
from numpy.typing import NDArray
from PIL import Image

from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint
from starter.digest import WEIGHTS
from starter.inpaint import inpainting_pipeline
from tests.engine.asking import a_drawing, admit, farthest

pytestmark = pytest.mark.filterwarnings("ignore")

STARTER = Checkpoint(name="starter", source=str(WEIGHTS), native_size=256)
STEPS, SEED, GUIDANCE = 8, 3, 4.0
TOLERANCE = 8  # of 255: eight steps and the decoder add up in another order in a batch of two; a wrong step is 50


@pytest.fixture(scope="module")
def engine() -> Iterator[LoopEngine]:
    torch.set_num_threads(1)
    engine = LoopEngine(device="cpu", threads=1, models_held=1)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def source(engine: LoopEngine) -> NDArray[np.uint8]:
    return by_engine(engine, "a red car")


def by_engine(engine: LoopEngine, prompt: str, **wishes: Any) -> NDArray[np.uint8]:
    drawing = a_drawing(
        STARTER, prompt=prompt, width=256, height=256, steps=STEPS, seed=SEED, cfg_scale=GUIDANCE, sampler="DPM++ 2M",
        **wishes,
    )  # fmt: skip
    return admit(engine, drawing).result(timeout=60).pixels


def by_diffusers(pipeline: Any, prompt: str, **wishes: Any) -> NDArray[np.uint8]:
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline(
        prompt, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=torch.Generator().manual_seed(SEED),
        **wishes,
    )  # fmt: skip
    return np.asarray(drawn.images[0])


def test_from_words(source: NDArray[np.uint8]) -> None:
    assert farthest(source, by_diffusers(DiffusionPipeline.from_pretrained(WEIGHTS), "a red car")) <= TOLERANCE


def test_from_a_picture(engine: LoopEngine, source: NDArray[np.uint8]) -> None:
    mine = by_engine(engine, "a blue car", init_image=source, strength=0.7)
    painter = AutoPipelineForImage2Image.from_pretrained(WEIGHTS)
    theirs = by_diffusers(painter, "a blue car", image=Image.fromarray(source), strength=0.7)
    assert farthest(mine, theirs) <= TOLERANCE
    assert farthest(mine, source) > 50


def test_into_a_picture(engine: LoopEngine, source: NDArray[np.uint8]) -> None:
    mask = np.zeros_like(source)
    mask[:, :128] = 255
    mine = by_engine(engine, "a blue car", init_image=source, mask=mask, strength=1.0)
    theirs = by_diffusers(
        inpainting_pipeline(WEIGHTS), "a blue car", image=Image.fromarray(source), mask_image=Image.fromarray(mask)
    )
    assert farthest(mine, theirs) <= TOLERANCE
    assert np.abs(mine[:, :128].astype(int) - source[:, :128]).mean() > 10
