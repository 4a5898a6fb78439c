"""A device that fails for good fails no image: all of them go back, and the process ends once, to be started anew."""

import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
import torch

from generation.engine import loading, residency, studio
from generation.engine.device import is_device_lost, is_out_of_memory
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint, DeviceLost, DrawingStopped, EngineError, ModelUnavailable
from tests.engine.asking import a_drawing, admit, draw
from tests.engine.faults import ModelCall, model_calls

SLOTS = 4
ILLEGAL = "CUDA error: an illegal memory access was encountered"


def lose_device(*_: object, **__: object) -> Any:
    raise torch.AcceleratorError(ILLEGAL)


def run_out(*_: object, **__: object) -> Any:
    raise torch.OutOfMemoryError


@pytest.fixture
def endings() -> list[str]:
    """The names of the threads that have ended the process."""
    return []


@pytest.fixture
def engine(checkpoint: Checkpoint, endings: list[str]) -> Iterator[LoopEngine]:
    def end() -> None:
        endings.append(threading.current_thread().name)

    engine = LoopEngine(device="cpu", threads=1, most_slots=SLOTS, device_lost=end)
    draw(engine, checkpoint)
    yield engine
    engine.close()


@pytest.fixture
def held(engine: LoopEngine) -> Iterator[Event]:
    """The engine's thread is busy with an errand until this is set, so that all who come are seated in one turn."""
    begun, free = Event(), Event()

    def wait() -> None:
        begun.set()
        free.wait(30)

    engine._door.send(wait)
    assert begun.wait(30)
    yield free
    free.set()


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (torch.AcceleratorError(ILLEGAL), True),
        (RuntimeError(f"{ILLEGAL}\nCUDA kernel errors might be asynchronously reported"), True),
        (torch.OutOfMemoryError("CUDA out of memory. CUDA error"), False),
        (torch.AcceleratorError("CUDA error: out of memory"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError(ILLEGAL), False),
    ],
)
def test_a_lost_device_is_told_from_what_another_call_survives(error: Exception, lost: bool) -> None:
    assert is_device_lost(error) is lost
    assert is_out_of_memory(error) is ("out of memory" in str(error) or "ALLOC_FAILED" in str(error))


def test_everybody_inside_is_stopped_after_one_call_and_the_process_ends_once(
    engine: LoopEngine, checkpoint: Checkpoint, endings: list[str], held: Event, caplog: pytest.LogCaptureFixture
) -> None:
    sizes: list[int] = []

    def break_down(call: ModelCall) -> None:
        sizes.append(len(call.latents))
        lose_device()

    with model_calls(engine, checkpoint, before=break_down):
        futures = [admit(engine, a_drawing(checkpoint, seed=seed)) for seed in range(SLOTS)]
        held.set()
        errors = [future.exception(timeout=30) for future in futures]
    engine.close()
    assert [type(error) for error in errors] == [DeviceLost] * SLOTS
    assert len(sizes) == 1  # not repeated in halves
    assert endings == ["engine"]
    assert [record.levelname for record in caplog.records if "device is lost" in record.message] == ["CRITICAL"]
    assert engine.wait_for_slot(timeout=0) == 0


def break_solver(engine: LoopEngine, patch: pytest.MonkeyPatch) -> None:
    build: Callable[..., Any] = studio.scheduler_of

    def brittle(*given: Any) -> Any:
        scheduler = build(*given)
        scheduler.step = lambda *_, generator=None, **__: lose_device()
        return scheduler

    patch.setattr(studio, "scheduler_of", brittle)


def break_room(engine: LoopEngine, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine._studio, "prepare", run_out)
    patch.setattr(residency, "free_memory", lose_device)


def break_loading(engine: LoopEngine, patch: pytest.MonkeyPatch) -> None:
    engine._studio.models.clear()
    patch.setattr(loading.diffusers.DiffusionPipeline, "from_pretrained", lose_device)


BREAKING: dict[str, Callable[[LoopEngine, pytest.MonkeyPatch], None]] = {
    "a solver's step": break_solver,
    "making room for a newcomer": break_room,
    "loading a model": break_loading,
    "reading the words": lambda engine, patch: patch.setattr(engine._studio, "prepare", lose_device),
    "decoding": lambda engine, patch: patch.setattr(engine._studio, "decode", lose_device),
    "the turn itself": lambda engine, patch: patch.setattr(engine._studio, "slots", lose_device),
}


@pytest.mark.parametrize("at", BREAKING)
def test_wherever_it_is_noticed_nobody_fails_and_nobody_is_forgotten(
    at: str,
    engine: LoopEngine,
    checkpoint: Checkpoint,
    endings: list[str],
    held: Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    BREAKING[at](engine, monkeypatch)
    futures = [admit(engine, a_drawing(checkpoint, seed=seed)) for seed in range(SLOTS)]
    held.set()
    assert [type(future.exception(timeout=30)) for future in futures] == [DeviceLost] * SLOTS
    engine._thread.join(timeout=30)
    assert endings == ["engine"]
    assert engine._door._inside == 0


def test_one_that_is_lost_at_warm_up_ends_the_process_before_anything_is_drawn(
    engine: LoopEngine, checkpoint: Checkpoint, endings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine._studio, "decode", lose_device)
    engine.warm_up([checkpoint, replace(checkpoint, name="other")])
    engine._thread.join(timeout=30)
    assert endings == ["engine"]
    assert engine.wait_for_slot(timeout=0) == 0


def test_what_it_held_is_not_cleared_since_that_would_fail_as_well(
    engine: LoopEngine, checkpoint: Checkpoint, held: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes: list[object] = []
    monkeypatch.setattr(threading, "excepthook", crashes.append)
    monkeypatch.setattr(residency, "free_memory", lose_device)
    with model_calls(engine, checkpoint, before=lose_device):
        future = admit(engine, a_drawing(checkpoint))
        held.set()
        assert isinstance(future.exception(timeout=30), DeviceLost)
        engine.close()
    assert not crashes


def test_the_process_is_ended_as_its_supervisor_would_end_it(checkpoint: Checkpoint) -> None:
    asked = Event()
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.set())
    engine = LoopEngine(device="cpu", threads=1, most_slots=SLOTS)
    try:
        draw(engine, checkpoint)
        with model_calls(engine, checkpoint, before=lose_device):
            future = admit(engine, a_drawing(checkpoint))
            assert asked.wait(30)
            assert isinstance(future.exception(timeout=30), DeviceLost)
    finally:
        engine.close()
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("raised", [ValueError("no room"), ModelUnavailable("gone"), torch.OutOfMemoryError()])
def test_room_that_cannot_be_made_fails_the_one_it_was_for_and_the_next_is_drawn(
    raised: Exception,
    engine: LoopEngine,
    checkpoint: Checkpoint,
    endings: list[str],
    held: Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare = engine._studio.prepare

    def refuse(*_: object) -> None:
        raise raised

    def fit_but_the_first(guests: list[Any]) -> Any:
        return run_out() if guests[0].drawing.seed == 0 else prepare(guests)

    monkeypatch.setattr(engine._studio, "prepare", fit_but_the_first)
    monkeypatch.setattr(engine._studio.models, "keep_only", refuse)
    unlucky, others = admit(engine, a_drawing(checkpoint, seed=0)), admit(engine, a_drawing(checkpoint, seed=1))
    held.set()
    error = unlucky.exception(timeout=30)
    assert isinstance(error, EngineError)
    assert not isinstance(error, DrawingStopped)
    assert others.result(timeout=30).steps_run == 4
    assert engine.wait_for_slot(timeout=30) == SLOTS
    assert not endings
