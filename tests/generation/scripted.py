"""Engines that do as they are told: draw flat pictures at once or fail, by model; or end each drawing by hand."""

from concurrent.futures import Future
from threading import Event

import numpy as np

from generation.engine.protocol import Admission, Checkpoint, DrawingStopped, Drawn, EngineError


class ScriptedEngine:
    """The stub beside the real one: `ill` holds the names of models that fail; `asked` those that were drawn from."""

    def __init__(self) -> None:
        self.ill: set[str] = set()
        self.asked: list[str] = []

    def warm_up(self, checkpoints: list[Checkpoint]) -> None:
        pass

    def wait_for_slot(self, timeout: float) -> int:
        return 8

    def admit(self, admission: Admission) -> "Future[Drawn]":
        drawing, future = admission.drawing, Future[Drawn]()
        self.asked.append(drawing.checkpoint.name)
        if drawing.checkpoint.name in self.ill:
            future.set_exception(EngineError("model_unavailable", "Its files are gone.", permanent=True))
        else:
            pixels = np.full((drawing.height, drawing.width, 3), 128, dtype=np.uint8)
            future.set_result(Drawn(pixels=pixels, steps_run=drawing.steps, seconds=0.01))
        return future

    def close(self) -> None:
        pass


class EngineByHand:
    """`admitted` holds its drawings, which keep their slots: a test tells how far they are, and ends their futures."""

    def __init__(self, *, slots: int) -> None:
        self.admitted: list[tuple[Admission, Future[Drawn]]] = []
        self._slots, self._closed = slots, Event()

    def warm_up(self, checkpoints: list[Checkpoint]) -> None:
        pass

    def wait_for_slot(self, timeout: float) -> int:
        free = self._slots - len(self.admitted)
        if not free:
            self._closed.wait(min(timeout, 0.05))
        return free

    def admit(self, admission: Admission) -> "Future[Drawn]":
        self.admitted.append((admission, Future()))
        return self.admitted[-1][1]

    def close(self) -> None:
        self._closed.set()
        for _, future in self.admitted:
            if not future.done():
                future.set_exception(DrawingStopped())
