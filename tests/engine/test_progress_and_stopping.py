"""While it draws, the engine tells how far it is, and leaves within one step when it is told to."""

from threading import Event

import pytest

from generation.engine.protocol import Checkpoint, DrawingStopped, Engine
from generation.samplers import find
from tests.engine.asking import a_drawing, admit, draw


@pytest.mark.parametrize("sampler", ["Euler", "Heun", "PLMS"])
def test_progress_counts_every_model_call_up_to_the_last(sampler: str, engine: Engine, checkpoint: Checkpoint) -> None:
    told: list[tuple[int, int]] = []
    drawing = a_drawing(checkpoint, sampler=sampler, steps=6)
    admit(engine, drawing, on_step=lambda done, total: told.append((done, total))).result(timeout=60)
    calls = find(sampler).calls(6)
    assert told == [(done, calls) for done in range(1, calls + 1)]


def test_a_stop_takes_effect_at_the_next_step_and_the_slot_is_free_again(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    stop, told = Event(), []

    def on_step(done: int, _total: int) -> None:
        told.append(done)
        if done == 3:
            stop.set()

    future = admit(engine, a_drawing(checkpoint, steps=50), on_step=on_step, stop=stop)
    with pytest.raises(DrawingStopped):
        future.result(timeout=60)
    assert told == [1, 2, 3]
    assert draw(engine, checkpoint).steps_run == 4


def test_a_drawing_that_was_stopped_before_its_turn_is_not_begun(engine: Engine, checkpoint: Checkpoint) -> None:
    stop, told = Event(), []
    stop.set()
    future = admit(engine, a_drawing(checkpoint), on_step=lambda done, _total: told.append(done), stop=stop)
    with pytest.raises(DrawingStopped):
        future.result(timeout=60)
    assert told == []
