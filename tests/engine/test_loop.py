"""Many guests at once: who shares calls, who waits, who is told when, and on which thread."""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from threading import Event, current_thread

import pytest
import torch

from generation.engine.loading import Model
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint, DrawingStopped, Drawn
from tests.engine.asking import TOLERANCE, a_drawing, admit, draw, farthest
from tests.engine.faults import model_calls, pipeline_of

SLOTS = 8


@pytest.fixture(scope="module")
def engine(checkpoint: Checkpoint) -> Iterator[LoopEngine]:
    engine = LoopEngine(device="cpu", threads=1, models_held=2, most_slots=SLOTS)
    draw(engine, checkpoint)
    yield engine
    engine.close()


class Gate:
    """An `on_step` that holds the engine's thread after its first step, so that others can come in meanwhile."""

    def __init__(self) -> None:
        self.reached, self.open = Event(), Event()

    def __call__(self, done: int, total: int) -> None:
        self.reached.set()
        assert self.open.wait(30)


@pytest.fixture
def gate(engine: LoopEngine, checkpoint: Checkpoint) -> Iterator[Gate]:
    """The engine is amid a drawing of six steps until the gate is opened."""
    gate = Gate()
    future = admit(engine, a_drawing(checkpoint, steps=6), on_step=gate)
    assert gate.reached.wait(30)
    yield gate
    gate.open.set()
    future.result(timeout=30)


def test_different_images_share_model_calls(engine: LoopEngine, checkpoint: Checkpoint, gate: Gate) -> None:
    sizes: list[int] = []
    with model_calls(engine, checkpoint, before=lambda call: sizes.append(len(call.latents))):
        futures = [admit(engine, a_drawing(checkpoint, seed=seed, steps=3 + seed)) for seed in range(4)]
        gate.open.set()
        for future in futures:
            future.result(timeout=30)
    # One of six steps has one behind it; the others come with 3, 4, 5 and 6. Each is predicted twice, for guidance.
    assert sizes == [10, 10, 10, 8, 6, 2]


def test_free_places_are_counted_down_and_up(engine: LoopEngine, checkpoint: Checkpoint, gate: Gate) -> None:
    assert engine.wait_for_slot(timeout=0) == SLOTS - 1
    futures = [admit(engine, a_drawing(checkpoint, seed=seed)) for seed in range(SLOTS - 1)]
    assert engine.wait_for_slot(timeout=0.01) == 0
    gate.open.set()
    for future in futures:
        future.result(timeout=30)
    assert engine.wait_for_slot(timeout=30) >= SLOTS - 1


def test_a_place_is_free_before_the_picture_is_decoded(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    free: list[int] = []
    vae = pipeline_of(engine, checkpoint).vae
    hook = vae.decoder.register_forward_pre_hook(lambda *_: free.append(engine.wait_for_slot(timeout=0)))
    draw(engine, checkpoint)
    hook.remove()
    assert free == [SLOTS]


def test_groups_take_turns(engine: LoopEngine, checkpoint: Checkpoint, gate: Gate) -> None:
    turns: list[str] = []
    futures = [
        admit(engine, a_drawing(checkpoint, steps=5, width=width), on_step=lambda *_, name=name: turns.append(name))
        for name, width in (("narrow", 64), ("wide", 128))
    ]
    gate.open.set()
    for future in futures:
        future.result(timeout=30)
    assert turns in (["narrow", "wide"] * 5, ["wide", "narrow"] * 5)


def test_nobody_elses_code_runs_on_the_engines_thread_but_the_step_listener(
    engine: LoopEngine, checkpoint: Checkpoint
) -> None:
    threads: dict[str, str] = {}
    waiting = Event()

    def on_done(_: "Future[Drawn]") -> None:
        threads["done"] = current_thread().name
        waiting.wait(30)

    first = admit(engine, a_drawing(checkpoint), on_step=lambda *_: threads.update(step=current_thread().name))
    first.add_done_callback(on_done)
    steps: list[int] = []
    second = admit(engine, a_drawing(checkpoint, seed=8), on_step=lambda done, total: steps.append(done))
    while len(steps) < 4:  # goes on, although whoever was told first does not return
        assert not second.done()
    waiting.set()
    second.result(timeout=30)
    assert threads["step"] == "engine"
    assert threads["done"].startswith("herald")


def test_a_stopped_image_gives_up_its_place_at_once_and_leaves_the_others_alone(
    engine: LoopEngine, checkpoint: Checkpoint, gate: Gate
) -> None:
    stop = Event()
    stopped = admit(engine, a_drawing(checkpoint, steps=150, seed=1), stop=stop)
    told: list[int] = []

    def stop_at_the_second(done: int, total: int) -> None:
        told.append(done)
        if done == 2:
            stop.set()

    other = admit(engine, a_drawing(checkpoint, steps=5, seed=2), on_step=stop_at_the_second)
    gate.open.set()
    with pytest.raises(DrawingStopped):
        stopped.result(timeout=30)
    assert farthest(other.result(timeout=30).pixels, draw(engine, checkpoint, steps=5, seed=2).pixels) <= TOLERANCE
    assert told == [1, 2, 3, 4, 5]


def test_a_prompt_is_read_once(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    read: list[int] = []
    hook = pipeline_of(engine, checkpoint).text_encoder.register_forward_pre_hook(lambda *_: read.append(1))
    futures = [admit(engine, a_drawing(checkpoint, prompt="never read before", seed=seed)) for seed in range(4)]
    for future in futures:
        future.result(timeout=30)
    hook.remove()
    assert len(read) == 1  # the empty negative prompt was known


def test_images_that_finish_together_are_decoded_together(
    engine: LoopEngine, checkpoint: Checkpoint, gate: Gate
) -> None:
    decoded: list[int] = []
    decoder = pipeline_of(engine, checkpoint).vae.decoder
    hook = decoder.register_forward_pre_hook(lambda _, inputs: decoded.append(len(inputs[0])))
    futures = [admit(engine, a_drawing(checkpoint, steps=2, seed=seed)) for seed in range(3)]
    gate.open.set()
    for future in futures:
        future.result(timeout=30)
    hook.remove()
    assert decoded[0] == 3


def test_more_models_than_fit_are_drawn_one_after_the_other_without_changing_to_and_fro(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "generation.engine.loading")
    engine = LoopEngine(device="cpu", threads=1, models_held=2, most_slots=SLOTS)
    models = [replace(checkpoint, name=name, revision=name) for name in ("red", "green", "blue")]
    futures = [admit(engine, a_drawing(model, steps=5)) for model in (*models, *models[:2])]
    pictures = [future.result(timeout=60).pixels.tobytes() for future in futures]
    engine.close()
    assert len(set(pictures)) == 1
    assert caplog.text.count("Loaded model") <= len(futures)  # and not at every turn of a group


def test_models_that_turn_out_not_to_fit_together_are_not_changed_to_and_fro(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LoopEngine(device="cpu", threads=1, models_held=2, most_slots=SLOTS)
    models, loaded = engine._studio.models, []
    load = models._load

    def fit_alone(wanted: Checkpoint) -> Model:
        if models._models:
            raise torch.OutOfMemoryError
        loaded.append(wanted.name)
        return load(wanted)

    monkeypatch.setattr(models, "_load", fit_alone)
    red, green = (replace(checkpoint, name=name, revision=name) for name in ("red", "green"))
    futures = [admit(engine, a_drawing(model, steps=5)) for model in (red, green)]
    pictures = [future.result(timeout=60).pixels.tobytes() for future in futures]
    engine.close()
    assert len(set(pictures)) == 1
    assert len(loaded) <= 3


def test_who_is_stopped_leaves_at_once_though_somebody_waits_for_room_before_it(checkpoint: Checkpoint) -> None:
    engine = LoopEngine(device="cpu", threads=1, models_held=1, most_slots=SLOTS)
    other = replace(checkpoint, name="other", revision="2")
    enough, stop = Event(), Event()
    drawn = admit(engine, a_drawing(checkpoint, steps=150), on_step=lambda *_: time.sleep(0.02), stop=enough)
    waiting = admit(engine, a_drawing(other))
    stopped = admit(engine, a_drawing(other, seed=8), stop=stop)
    stop.set()
    with pytest.raises(DrawingStopped):
        stopped.result(timeout=30)
    assert not drawn.done()
    enough.set()
    assert waiting.result(timeout=60).steps_run == 4
    engine.close()


def test_every_drawing_ends_when_the_engine_closes(checkpoint: Checkpoint) -> None:
    engine = LoopEngine(device="cpu", threads=1, most_slots=4)
    drawings = [a_drawing(checkpoint, steps=150, width=64 * (1 + at % 2)) for at in range(4)]
    futures = [admit(engine, drawing) for drawing in drawings]
    engine.close()
    for future in futures:
        with pytest.raises(DrawingStopped):
            future.result(timeout=0)
