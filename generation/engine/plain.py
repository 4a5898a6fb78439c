"""The engine that draws one picture after the other, each by a whole call of its pipeline."""

import logging
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Condition, Event
from uuid import UUID

from generation.engine import whole
from generation.engine.device import choose_device, free_memory, is_out_of_memory, prepare_thread
from generation.engine.loading import load
from generation.engine.protocol import Admission, Checkpoint, Drawing, DrawingStopped, Drawn, EngineError
from generation.engine.residency import Residency

log = logging.getLogger(__name__)

WARM_UP_EDGE = 512


class PlainEngine:
    """One slot. All that touches torch happens in one thread, because a pipeline is not thread-safe."""

    def __init__(self, *, device: str = "auto", threads: int = 0, models_held: int = 2) -> None:
        self._models = Residency(partial(load, device=choose_device(device)), most=models_held)
        self._thread = ThreadPoolExecutor(1, "engine", initializer=prepare_thread, initargs=(threads,))
        self._slot = Condition()
        self._free = 1
        self._closed = Event()

    def warm_up(self, checkpoints: list[Checkpoint]) -> None:
        for checkpoint in checkpoints[: self._models.most]:
            self._thread.submit(self._warm_up, checkpoint).result()

    def wait_for_slot(self, timeout: float) -> int:
        with self._slot:
            self._slot.wait_for(lambda: self._free or self._closed.is_set(), timeout)
            return 0 if self._closed.is_set() else self._free

    def admit(self, admission: Admission) -> "Future[Drawn]":
        future: Future[Drawn] = Future()
        future.set_running_or_notify_cancel()  # it is stopped by the event, never by Future.cancel()
        with self._slot:
            if self._closed.is_set():
                future.set_exception(DrawingStopped())
                return future
            if not self._free:
                raise RuntimeError("admit() without a free slot: ask wait_for_slot() first")
            self._free -= 1
            self._thread.submit(self._occupy_slot, admission, future)
        return future

    def close(self) -> None:
        with self._slot:
            self._closed.set()
            self._slot.notify_all()
        self._thread.shutdown(wait=True)
        self._models.clear()

    # --- in the engine's thread ---------------------------------------------------------------------------

    def _occupy_slot(self, admission: Admission, future: "Future[Drawn]") -> None:
        outcome: Drawn | BaseException
        try:
            outcome = self._draw(admission.drawing, _Steps(admission, self._closed))
        except BaseException as error:  # noqa: BLE001  # handed on: without it the future would never end
            outcome = error
            _let_go_of_tensors(error)
        with self._slot:
            self._free += 1
            self._slot.notify_all()
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def _draw(self, drawing: Drawing, after_step: Callable[[int, int], None]) -> Drawn:
        try:
            after_step(0, 0)
            return self._draw_within_memory(drawing, after_step)
        except DrawingStopped:
            raise
        except EngineError as error:
            log.error("Image %s was not drawn (%s): %s", drawing.image_id, error.code, error.detail)  # noqa: TRY400
            raise
        except Exception as error:
            log.exception("Image %s was not drawn.", drawing.image_id)
            detail = f"The engine failed: {type(error).__name__}: {error}"
            raise EngineError("engine_failed", detail, permanent=False) from error

    def _draw_within_memory(self, drawing: Drawing, after_step: Callable[[int, int], None]) -> Drawn:
        try:
            return whole.draw(self._models.model(drawing.checkpoint), drawing, after_step)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            log.warning("Out of memory: image %s is tried once more. %s", drawing.image_id, error)
        self._models.keep_only(drawing.checkpoint)  # out here: the handler holds the failed call's tensors
        try:
            return whole.draw(self._models.model(drawing.checkpoint), drawing, after_step)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            detail = f"{drawing.width}×{drawing.height} does not fit into this worker's memory."
            raise EngineError("out_of_memory", detail, permanent=True) from error
        finally:
            free_memory()

    def _warm_up(self, checkpoint: Checkpoint) -> None:
        edge = checkpoint.native_size or WARM_UP_EDGE
        drawing = Drawing(
            image_id=UUID(int=0),
            checkpoint=checkpoint,
            prompt="warm-up",
            negative_prompt="",
            steps=2,
            width=edge,
            height=edge,
            cfg_scale=7.0,
            sampler="Euler",
            seed=0,
        )
        try:
            drawn = self._draw(drawing, lambda done, total: None)
        except EngineError:
            return  # logged; whoever asks for this model is told then
        log.info("Warmed up model %s: two steps in %.2f s.", checkpoint.name, drawn.seconds)


def _let_go_of_tensors(error: BaseException | None) -> None:
    """The frames of a failed call hold its tensors for as long as somebody holds the future."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__


class _Steps:
    """After each step: leave if somebody said so; otherwise tell how far it is, which never goes backwards,
    not even when a drawing is begun a second time."""

    def __init__(self, admission: Admission, closed: Event) -> None:
        self._admission, self._closed, self._furthest = admission, closed, 0

    def __call__(self, done: int, total: int) -> None:
        if self._admission.stop.is_set() or self._closed.is_set():
            raise DrawingStopped
        if done > self._furthest:
            self._furthest = done
            self._admission.on_step(done, total)
