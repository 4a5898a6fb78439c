"""An engine that costs nothing: it takes its time, and paints one color. For what is around an engine."""

import time
from concurrent.futures import Future
from threading import Condition, Event, Thread

import numpy as np

from generation.engine.protocol import Admission, Checkpoint, DrawingStopped, Drawn


class StubEngine:
    """`slots` drawings at a time, each step of each takes `step_seconds`. `failure` is raised by every drawing. It
    paints grays, of which moderation holds some for review, or greens, of which it holds none."""

    def __init__(
        self, *, slots: int = 4, step_seconds: float = 0.005, failure: Exception | None = None, greens: bool = False
    ) -> None:
        self.slots, self.step_seconds, self.failure = slots, step_seconds, failure
        self._greens = greens
        self.drawn = 0
        self._busy = 0
        self._changed = Condition()
        self._closed = Event()

    def warm_up(self, checkpoints: list[Checkpoint]) -> None:
        return

    def wait_for_slot(self, timeout: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._busy < self.slots or self._closed.is_set(), timeout)
            return 0 if self._closed.is_set() else max(0, self.slots - self._busy)

    def admit(self, admission: Admission) -> "Future[Drawn]":
        future: Future[Drawn] = Future()
        future.set_running_or_notify_cancel()
        with self._changed:
            self._busy += 1
        Thread(target=self._draw, args=(admission, future), daemon=True).start()
        return future

    def close(self) -> None:
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._busy == 0)

    def _draw(self, admission: Admission, future: "Future[Drawn]") -> None:
        drawing = admission.drawing
        outcome: Drawn | Exception
        try:
            if self.failure is not None:
                raise self.failure
            for step in range(drawing.steps):
                time.sleep(self.step_seconds)
                if admission.stop.is_set() or self._closed.is_set():
                    raise DrawingStopped
                admission.on_step(step + 1, drawing.steps)
            pixels = np.full((drawing.height, drawing.width, 3), drawing.seed % 256, dtype=np.uint8)
            if self._greens:
                pixels[..., ::2] = 0
                pixels[..., 1] = 45 + drawing.seed % 211
            outcome = Drawn(pixels=pixels, steps_run=drawing.steps, seconds=drawing.steps * self.step_seconds)
            self.drawn += 1
        except Exception as error:  # noqa: BLE001  as an engine does
            outcome = error
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
