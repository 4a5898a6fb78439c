"""An image in the engine, from its admission to its farewell."""

import time
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Event

from generation.engine.families import Text
from generation.engine.protocol import (
    Admission,
    Checkpoint,
    DeadlinePassed,
    Drawing,
    DrawingStopped,
    Drawn,
    EngineError,
    Preview,
)
from generation.engine.quality import Watch
from generation.engine.sampling import Sampling


@dataclass(frozen=True, slots=True)
class GroupKey:
    """Who can share a model call. Not steps, seed, sampler or guidance value: those are each guest's own."""

    checkpoint: Checkpoint
    height: int  # in pixels, as the model draws it; 0 by 0 where a pipeline is called as a whole
    width: int
    guided: bool  # each image is predicted twice, with its prompt and with its negative prompt

    @property
    def area(self) -> int:
        return self.height * self.width

    @property
    def whole(self) -> bool:
        return self.area == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A guest's place in its group's model calls."""

    sampling: Sampling
    prompt: Text
    negative: Text | None  # None where guidance is off
    guidance: float
    watch: Watch


class Guest:
    """`closed` is set when the engine leaves. `key` and `slot` are set by the engine's thread once it is seated."""

    key: GroupKey
    slot: Slot | None = None

    def __init__(self, admission: Admission, closed: Event) -> None:
        self.future: Future[Drawn] = Future()
        self.future.set_running_or_notify_cancel()  # it is stopped by the event, never by Future.cancel()
        self.warnings: list[str] = []
        self._admission, self._closed, self._furthest = admission, closed, 0
        self._began = 0.0
        self._preview_at = sorted(admission.preview_at) if admission.on_preview is not None else []

    @property
    def drawing(self) -> Drawing:
        return self._admission.drawing

    @property
    def dismissal(self) -> EngineError | None:
        """Why it must leave before it is drawn, if it must."""
        if self._admission.stop.is_set() or self._closed.is_set():
            return DrawingStopped()
        deadline = self._admission.deadline
        return DeadlinePassed() if deadline is not None and time.monotonic() > deadline else None

    def begin(self) -> None:
        """Before each model call; the first one counts."""
        self._began = self._began or time.perf_counter()

    @property
    def steps_run(self) -> int:
        return self.slot.sampling.steps_done if self.slot is not None else self.drawing.planned_steps

    @property
    def quality_score(self) -> float | None:
        score = self.slot.watch.score if self.slot is not None else None
        return None if score is None else round(score, 4)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def after_step(self, done: int, total: int) -> None:
        """Leave if somebody said so; otherwise tell how far it is, which never goes backwards, not even when a
        drawing is begun a second time."""
        if (dismissal := self.dismissal) is not None:
            raise dismissal
        if done > self._furthest:
            self._furthest = done
            self._admission.on_step(done, total)

    def preview_due(self, done: int, total: int) -> bool:
        """Whether somebody wants to see what it looks like now. Several that are due at once are one."""
        due = [part for part in self._preview_at if done >= part * total]
        self._preview_at = self._preview_at[len(due) :]
        return bool(due) and done < total

    def show(self, preview: Preview) -> None:
        if self._admission.on_preview is not None:
            self._admission.on_preview(preview)
