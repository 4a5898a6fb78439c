"""A drawing that fails says why, harms no other, and is logged."""

import logging
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from structlog.contextvars import get_contextvars

from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint, Engine, EngineError
from tests.engine.asking import a_drawing, admit, draw
from tests.engine.faults import ModelCall, model_calls


def refusal_of(engine: Engine, checkpoint: Checkpoint, **wishes: object) -> EngineError:
    with pytest.raises(EngineError) as refusal:
        draw(engine, checkpoint, **wishes)
    return refusal.value


def test_an_unexpected_error_is_handed_on_with_its_cause_and_the_next_picture_is_drawn(
    engine: Engine, checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(_done: int, _total: int) -> None:
        raise ZeroDivisionError("boom")

    with pytest.raises(EngineError) as failure:
        admit(engine, a_drawing(checkpoint), on_step=explode).result(timeout=60)
    assert (failure.value.code, failure.value.permanent) == ("engine_failed", False)
    assert isinstance(failure.value.__cause__, ZeroDivisionError)
    assert "ZeroDivisionError: boom" in failure.value.detail
    assert "boom" in caplog.text
    assert draw(engine, checkpoint).steps_run == 4


def test_a_sampler_that_does_not_exist_fails_for_good(engine: Engine, checkpoint: Checkpoint) -> None:
    error = refusal_of(engine, checkpoint, sampler="DPM fast")
    assert (error.code, error.permanent) == ("sampler_unknown", True)
    assert draw(engine, checkpoint).steps_run == 4


def test_numbers_that_overflow_are_no_picture(engine: Engine, folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    file = broken / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["conv_out.bias"] = torch.full_like(weights["conv_out.bias"], torch.nan)
    save_file(weights, file, metadata={"format": "pt"})
    error = refusal_of(engine, Checkpoint(name="broken", source=str(broken)))
    assert (error.code, error.permanent) == ("not_a_picture", True)


@pytest.mark.parametrize(
    "shortage", [torch.OutOfMemoryError, MemoryError, lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: no")]
)
def test_out_of_memory_once_is_remedied_and_progress_does_not_go_back(
    shortage: Callable[[], Exception], engine: LoopEngine, checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    usual, told, calls = draw(engine, checkpoint), [], count(1)

    def run_out_at_the_third(call: ModelCall) -> None:
        if next(calls) == 3:
            raise shortage()

    with model_calls(engine, checkpoint, before=run_out_at_the_third):
        drawing = a_drawing(checkpoint)
        drawn = admit(engine, drawing, on_step=lambda done, total: told.append(done)).result(timeout=60)
    assert (drawn.pixels == usual.pixels).all()
    assert told == [1, 2, 3, 4]
    assert "Out of memory" in caplog.text


def test_out_of_memory_with_all_memory_to_itself_fails_for_good(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    def run_out(call: ModelCall) -> None:
        raise torch.OutOfMemoryError

    draw(engine, checkpoint)
    with model_calls(engine, checkpoint, before=run_out), pytest.raises(EngineError) as failure:
        draw(engine, checkpoint)
    assert (failure.value.code, failure.value.permanent) == ("out_of_memory", True)
    assert "64×64" in failure.value.detail
    assert draw(engine, checkpoint).steps_run == 4


def test_a_failed_drawing_does_not_hold_its_tensors(engine: Engine, checkpoint: Checkpoint) -> None:
    def explode(_done: int, _total: int) -> None:
        raise ZeroDivisionError

    future = admit(engine, a_drawing(checkpoint), on_step=explode)
    error = future.exception(timeout=60)
    while error is not None:
        frames = error.__traceback__
        while frames is not None:
            held = frames.tb_frame.f_locals.values()
            assert not any(isinstance(value, torch.Tensor) for value in held)
            frames = frames.tb_next
        error = error.__cause__


def test_the_log_names_the_image_and_not_the_words(
    engine: Engine, checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refusal_of(engine, checkpoint, prompt="my secret " * 20, sampler="nonsense")
    draw(engine, checkpoint, prompt="my secret " * 20)
    assert "was not drawn" in caplog.text
    assert "secret" not in caplog.text


def test_the_lines_of_an_image_that_was_not_drawn_name_its_request(engine: Engine, checkpoint: Checkpoint) -> None:
    bound: list[dict[str, object]] = []

    class Note(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            bound.append(get_contextvars())

    handler, log = Note(), logging.getLogger("generation.engine.failures")
    log.addHandler(handler)
    try:
        refusal_of(engine, checkpoint, sampler="nonsense", traced={"request_id": "mine", "tenant": "ada"})
        refusal_of(engine, checkpoint, sampler="nonsense")
    finally:
        log.removeHandler(handler)
    assert bound == [{"request_id": "mine", "tenant": "ada"}, {}]
