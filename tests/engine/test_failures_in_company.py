"""What goes wrong with one image is that image's alone; what goes wrong with a call is narrowed down."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from generation.engine import studio
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint, Drawing, Drawn, EngineError
from tests.engine.asking import TOLERANCE, a_drawing, admit, draw, farthest
from tests.engine.faults import ModelCall, hidden_of, model_calls

SLOTS = 8
CURSED = 5  # the one of eight that something happens to


@pytest.fixture
def engine(checkpoint: Checkpoint) -> Iterator[LoopEngine]:
    engine = LoopEngine(device="cpu", threads=1, most_slots=SLOTS)
    draw(engine, checkpoint)
    yield engine
    engine.close()


@pytest.fixture
def drawings(checkpoint: Checkpoint) -> list[Drawing]:
    return [a_drawing(checkpoint, prompt=f"number {at}", seed=at, steps=3 + at % 3) for at in range(SLOTS)]


@pytest.fixture
def alone(engine: LoopEngine, drawings: list[Drawing]) -> list[Drawn]:
    return [admit(engine, drawing).result(timeout=30) for drawing in drawings]


def admit_all(engine: LoopEngine, drawings: list[Drawing], **more: Any) -> "list[Future[Drawn]]":
    return [admit(engine, drawing, **more) for drawing in drawings]


def only_the_cursed_fails(futures: "list[Future[Drawn]]", alone: list[Drawn]) -> EngineError:
    error = futures[CURSED].exception(timeout=30)
    for at, (future, expected) in enumerate(zip(futures, alone, strict=True)):
        if at != CURSED:
            assert farthest(future.result(timeout=30).pixels, expected.pixels) <= TOLERANCE
    assert isinstance(error, EngineError)
    return error


def test_numbers_that_overflow_spoil_one_picture(
    engine: LoopEngine, checkpoint: Checkpoint, drawings: list[Drawing], alone: list[Drawn]
) -> None:
    cursed = hidden_of(engine, checkpoint, drawings[CURSED].prompt)

    def overflow(call: ModelCall, prediction: Tensor) -> None:
        prediction[call.rows_with(cursed)] = torch.nan

    with model_calls(engine, checkpoint, after=overflow):
        error = only_the_cursed_fails(admit_all(engine, drawings), alone)
    assert (error.code, error.permanent) == ("not_a_picture", True)


def test_a_call_that_one_image_breaks_is_made_without_it(
    engine: LoopEngine, checkpoint: Checkpoint, drawings: list[Drawing], alone: list[Drawn]
) -> None:
    cursed = hidden_of(engine, checkpoint, drawings[CURSED].prompt)

    def break_down(call: ModelCall) -> None:
        if call.rows_with(cursed):
            raise ValueError("cursed")

    with model_calls(engine, checkpoint, before=break_down):
        error = only_the_cursed_fails(admit_all(engine, drawings), alone)
    assert (error.code, error.permanent) == ("engine_failed", False)
    assert isinstance(error.__cause__, ValueError)


@pytest.mark.parametrize(
    ("raised", "code"), [(ZeroDivisionError, "engine_failed"), (torch.OutOfMemoryError, "out_of_memory")]
)
def test_a_solver_that_fails_fails_alone(
    raised: type[Exception],
    code: str,
    engine: LoopEngine,
    drawings: list[Drawing],
    alone: list[Drawn],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build: Callable[..., Any] = studio.scheduler_of

    def brittle(drawing: Drawing, config: Any) -> Any:
        scheduler = build(drawing, config)
        if drawing.seed == CURSED:

            def step(*_: object, generator: object = None, **__: object) -> None:
                raise raised("cursed")

            scheduler.step = step
        return scheduler

    monkeypatch.setattr(studio, "scheduler_of", brittle)
    error = only_the_cursed_fails(admit_all(engine, drawings), alone)
    assert (error.code, error.permanent) == (code, False)


def test_a_listener_that_fails_fails_its_own_image(
    engine: LoopEngine, drawings: list[Drawing], alone: list[Drawn]
) -> None:
    def explode(done: int, total: int) -> None:
        raise KeyError("cursed")

    futures = [
        admit(engine, drawing, **({"on_step": explode} if at == CURSED else {})) for at, drawing in enumerate(drawings)
    ]
    assert only_the_cursed_fails(futures, alone).code == "engine_failed"


def test_a_sampler_that_is_none_is_refused_at_the_door(
    engine: LoopEngine, drawings: list[Drawing], alone: list[Drawn]
) -> None:
    drawings[CURSED] = replace(drawings[CURSED], sampler="DPM fast")
    assert only_the_cursed_fails(admit_all(engine, drawings), alone).code == "sampler_unknown"


def test_what_does_not_fit_together_is_drawn_in_smaller_calls(
    engine: LoopEngine, checkpoint: Checkpoint, drawings: list[Drawing], alone: list[Drawn]
) -> None:
    sizes: list[int] = []

    def fit_six(call: ModelCall) -> None:
        sizes.append(len(call.latents))
        if sizes[-1] > 6:
            raise torch.OutOfMemoryError

    with model_calls(engine, checkpoint, before=fit_six):
        for future, expected in zip(admit_all(engine, drawings), alone, strict=True):
            assert farthest(future.result(timeout=60).pixels, expected.pixels) <= TOLERANCE
        assert 1 <= engine.wait_for_slot(timeout=30) <= 3
        sizes.clear()
        for future in [admit(engine, drawing) for drawing in drawings]:
            future.result(timeout=60)
    assert max(sizes) <= 6  # it has learned


def test_pictures_that_cannot_be_decoded_together_are_decoded_alone(
    engine: LoopEngine, drawings: list[Drawing], alone: list[Drawn], monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = engine._studio.decode
    tried: list[int] = []

    def fit_one(key: Any, slots: list[Any]) -> Any:
        tried.append(len(slots))
        if len(slots) > 1:
            raise torch.OutOfMemoryError
        return decode(key, slots)

    monkeypatch.setattr(engine._studio, "decode", fit_one)
    for future, expected in zip(admit_all(engine, drawings), alone, strict=True):
        assert farthest(future.result(timeout=60).pixels, expected.pixels) <= TOLERANCE
    assert max(tried) > 1


@pytest.mark.parametrize("mistake", [ZeroDivisionError, torch.OutOfMemoryError])
def test_the_loop_outlives_its_own_mistakes_and_blames_nobody_for_them(
    engine: LoopEngine, drawings: list[Drawing], mistake: type[Exception], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def stumble(key: object) -> int:
        raise mistake

    with monkeypatch.context() as patched:
        patched.setattr(engine._studio, "slots", stumble)
        futures = admit_all(engine, drawings[:3])
        errors = [future.exception(timeout=30) for future in futures]
    assert [(error.code, error.permanent) for error in errors if isinstance(error, EngineError)] == [
        ("engine_failed", False)
    ] * 3
    assert "stumbled" in caplog.text
    assert admit(engine, drawings[0]).result(timeout=30).steps_run == 3
    assert engine.wait_for_slot(timeout=30) == SLOTS
