"""A pipeline the loop cannot step itself is called as a whole, one image at a time, with the same promises."""

import json
import shutil
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint, DrawingStopped
from tests.engine.asking import TOLERANCE, a_drawing, admit, draw, farthest


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The tiny model under another pipeline: perturbed attention guidance, which is off unless asked for."""
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("whole") / "model")
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps(index | {"_class_name": "StableDiffusionPAGPipeline"}))
    return Checkpoint(name="whole", source=str(copy))


def test_it_draws(engine: LoopEngine, whole: Checkpoint) -> None:
    drawn = draw(engine, whole, seed=3, width=68)
    assert drawn.pixels.shape == (64, 68, 3)
    assert np.array_equal(drawn.pixels, draw(engine, whole, seed=3, width=68).pixels)
    assert not np.array_equal(drawn.pixels, draw(engine, whole, seed=4, width=68).pixels)


def test_progress_and_stop(engine: LoopEngine, whole: Checkpoint) -> None:
    stop, told = Event(), []

    def on_step(done: int, total: int) -> None:
        told.append((done, total))
        if done == 3:
            stop.set()

    with pytest.raises(DrawingStopped):
        admit(engine, a_drawing(whole, steps=9), on_step=on_step, stop=stop).result(timeout=30)
    assert told == [(1, 9), (2, 9), (3, 9)]


def test_it_takes_turns_with_the_loops_own(engine: LoopEngine, whole: Checkpoint, checkpoint: Checkpoint) -> None:
    drawings = [a_drawing(model, seed=seed) for seed in range(3) for model in (whole, checkpoint)]
    together = [future.result(timeout=60) for future in [admit(engine, drawing) for drawing in drawings]]
    for drawing, drawn in zip(drawings, together, strict=True):
        assert farthest(drawn.pixels, admit(engine, drawing).result(timeout=30).pixels) <= TOLERANCE


def test_warm_up_gives_it_one_place(whole: Checkpoint) -> None:
    engine = LoopEngine(device="cpu", threads=1)
    engine.warm_up([whole])
    assert engine.wait_for_slot(timeout=30) == 1
    engine.close()
