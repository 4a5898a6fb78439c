"""Many mixed images with stops and failures: each ends in the right state, and nothing is left behind.

`EASEL_ENGINE_IMAGES` sets how many; 500 for `make soak`."""

import gc
import os
import random
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from generation.engine.loop import LoopEngine
from generation.engine.protocol import Admission, Checkpoint, Drawing, DrawingStopped, Drawn, EngineError
from generation.samplers import SAMPLERS
from tests.engine.asking import TOLERANCE, a_drawing, admit, draw, farthest
from tests.engine.faults import ModelCall, hidden_of, model_calls

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

IMAGES, SLOTS = int(os.environ.get("EASEL_ENGINE_IMAGES", "120")), 8
FATES = ("drawn",) * 14 + ("stopped early", "stopped", "overflows", "breaks the call", "listener fails", "no sampler")
ENDINGS = {
    "overflows": "not_a_picture",
    "breaks the call": "engine_failed",
    "listener fails": "engine_failed",
    "no sampler": "sampler_unknown",
}
GROWTH = 60 * 2**20  # bytes that the allocator may keep; two hundred forgotten pictures with their samplers are more


PHOTO = np.random.default_rng(2).integers(0, 255, (64, 64, 3), dtype=np.uint8)
MASK = np.where(np.arange(64)[:, None, None] < 32, 255, 0).astype(np.uint8).repeat(64, 1).repeat(3, 2)


@dataclass
class Image:
    drawing: Drawing
    fate: str
    stop: Event
    future: "Future[Drawn]"


@pytest.fixture
def engine(checkpoint: Checkpoint) -> Iterator[LoopEngine]:
    engine = LoopEngine(device="cpu", threads=1, most_slots=SLOTS)
    draw(engine, checkpoint)
    yield engine
    engine.close()


def wishes(dice: random.Random, fate: str) -> dict[str, Any]:
    """From noise, from a picture or into one; some leave early."""
    given: dict[str, Any] = {}
    if dice.random() < 0.4:
        given = {"init_image": PHOTO, "strength": 1.0 if fate == "stopped" else dice.choice([0.5, 1.0])}
    if given and dice.random() < 0.5:
        given["mask"] = MASK
    if fate == "drawn" and dice.random() < 0.2:
        given["quality_target"] = 0.1
    return given | {
        "prompt": fate if fate in ("overflows", "breaks the call") else dice.choice(["a cat", "a dog", "a fish"]),
        "steps": 6 if fate == "stopped" else dice.randint(2, 6),
        "width": dice.choice([64, 64, 64, 72]),
        "cfg_scale": dice.choice([1.0, 3.0, 7.0, 7.0]),
        "sampler": "DPM fast" if fate == "no sampler" else dice.choice(SAMPLERS).name,
        "seed": dice.randrange(10**6),
    }


def let_in(engine: LoopEngine, checkpoint: Checkpoint, dice: random.Random) -> Image:
    fate, stop = dice.choice(FATES), Event()

    def on_step(done: int, total: int) -> None:
        if fate == "listener fails":
            raise KeyError(done)
        if fate == "stopped" and done == 3:
            stop.set()

    if fate == "stopped early":
        stop.set()
    drawing = a_drawing(checkpoint, **wishes(dice, fate))
    assert engine.wait_for_slot(timeout=30)
    return Image(drawing, fate, stop, engine.admit(Admission(drawing=drawing, on_step=on_step, stop=stop)))


def check(image: Image) -> None:
    error = image.future.exception(timeout=60)
    if image.fate in ENDINGS:
        assert isinstance(error, EngineError)
        assert error.code == ENDINGS[image.fate]
    elif image.fate == "drawn":
        assert error is None
    else:
        assert isinstance(error, DrawingStopped)


def test_each_ends_as_it_must(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    dice = random.Random(7)
    overflowing = hidden_of(engine, checkpoint, "overflows")
    breaking = hidden_of(engine, checkpoint, "breaks the call")

    def break_down(call: ModelCall) -> None:
        if call.rows_with(breaking):
            raise ValueError("broken")

    def overflow(call: ModelCall, prediction: Tensor) -> None:
        prediction[call.rows_with(overflowing)] = torch.inf

    with model_calls(engine, checkpoint, before=break_down, after=overflow):
        images = [let_in(engine, checkpoint, dice) for _ in range(IMAGES)]
        for image in images:
            check(image)
    assert {image.fate for image in images} == set(FATES)
    assert engine.wait_for_slot(timeout=30) == SLOTS
    for image in dice.sample([image for image in images if image.fate == "drawn"], 10):
        alone = admit(engine, image.drawing).result(timeout=30)
        assert farthest(image.future.result().pixels, alone.pixels) <= TOLERANCE


def test_memory_stays_flat(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    dice = random.Random(8)
    for image in [let_in(engine, checkpoint, dice) for _ in range(IMAGES // 4)]:
        image.future.exception(timeout=60)
    before = resident()
    for image in [let_in(engine, checkpoint, dice) for _ in range(IMAGES)]:
        image.future.exception(timeout=60)
    grown = resident() - before
    print(f"{IMAGES} images: {grown / 2**20:.1f} MiB more")
    assert grown < GROWTH


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
