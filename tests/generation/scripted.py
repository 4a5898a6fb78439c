"""An engine that draws flat pictures at once, and fails for the models it was told to fail for."""

from concurrent.futures import Future

import numpy as np

from generation.engine.protocol import Admission, Checkpoint, Drawn, EngineError


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
