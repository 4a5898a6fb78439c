"""A slot is taken by admitting, free again at every ending, gone after closing."""

from collections.abc import Iterator
from dataclasses import replace
from threading import Event, Thread

import pytest

from generation.engine.loop import LoopEngine
from generation.engine.protocol import Admission, Checkpoint, DrawingStopped, Engine
from tests.engine.asking import a_drawing, admit


@pytest.fixture(scope="module")
def engine() -> Iterator[LoopEngine]:
    engine = LoopEngine(device="cpu", threads=1, most_slots=1)
    yield engine
    engine.close()


@pytest.fixture
def busy(engine: Engine, checkpoint: Checkpoint):  # type: ignore[no-untyped-def]
    """The engine amid a drawing; set the event to let it go on."""
    begun, go_on = Event(), Event()

    def on_step(done: int, _total: int) -> None:
        begun.set()
        assert go_on.wait(30)

    future = admit(engine, a_drawing(checkpoint, steps=2), on_step=on_step)
    assert begun.wait(30)
    yield go_on, future
    go_on.set()
    future.result(timeout=30)


def test_there_is_no_slot_while_it_draws(engine: Engine, busy: tuple[Event, object]) -> None:
    assert engine.wait_for_slot(timeout=0.01) == 0


def test_whoever_waits_is_woken_when_the_slot_is_free(engine: Engine, busy: tuple[Event, object]) -> None:
    found: list[int] = []
    waiting = Thread(target=lambda: found.append(engine.wait_for_slot(timeout=30)))
    waiting.start()
    busy[0].set()
    waiting.join(timeout=5)
    assert found == [1]


def test_admitting_without_a_slot_is_a_mistake_of_the_caller(
    engine: Engine, checkpoint: Checkpoint, busy: tuple[Event, object]
) -> None:
    with pytest.raises(RuntimeError, match="wait_for_slot"):
        engine.admit(Admission(drawing=a_drawing(checkpoint), on_step=lambda *_: None, stop=Event()))


def test_a_future_cannot_be_cancelled_behind_the_engines_back(engine: Engine, checkpoint: Checkpoint) -> None:
    future = admit(engine, a_drawing(checkpoint))
    assert not future.cancel()
    assert future.result(timeout=60).steps_run == 4


def test_closing_ends_what_is_being_drawn_within_a_step(checkpoint: Checkpoint) -> None:
    engine, begun, steps = LoopEngine(device="cpu", threads=1), Event(), []

    def on_step(done: int, _total: int) -> None:
        steps.append(done)
        begun.set()

    future = admit(engine, a_drawing(checkpoint, steps=150), on_step=on_step)
    assert begun.wait(60)
    engine.close()
    with pytest.raises(DrawingStopped):
        future.result(timeout=0)
    assert len(steps) < 150
    assert engine.wait_for_slot(timeout=0.01) == 0
    late = engine.admit(Admission(drawing=a_drawing(checkpoint), on_step=lambda *_: None, stop=Event()))
    with pytest.raises(DrawingStopped):
        late.result(timeout=0)
    engine.close()  # a second time is no mistake


def test_warm_up_takes_the_room_of_no_model_that_comes_first(checkpoint: Checkpoint) -> None:
    usual = replace(checkpoint, native_size=64)
    other = replace(usual, revision="2")
    engine = LoopEngine(device="cpu", threads=1, most_slots=1, models_held=2, memory=1)
    try:
        engine.warm_up([usual, other])
        assert [engine._studio.models.holds(each) for each in (usual, other)] == [True, False]
        assert admit(engine, a_drawing(other)).result(timeout=60).steps_run == 4
    finally:
        engine.close()
