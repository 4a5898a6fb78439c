"""Brings the outcome to whoever waits for it, on a thread of its own: the engine's runs nobody else's code."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from structlog.contextvars import bound_contextvars

from easel import metrics
from generation.engine.failures import explain
from generation.engine.guest import Guest
from generation.engine.picture import finish
from generation.engine.preview import Sketch, preview_of
from generation.engine.protocol import Drawn

log = logging.getLogger(__name__)


class Herald:
    """`engine` is what draws here, for the receipts."""

    def __init__(self, engine: dict[str, str]) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "herald")

    def present(self, guest: Guest, image: NDArray[np.float32]) -> None:
        """A decoded picture (h, w, 3), still to be brought to the size that was asked for."""
        seconds = guest.seconds
        drawing, steps_run, score = guest.drawing, guest.steps_run, guest.quality_score

        def conclude() -> Drawn:
            return Drawn(
                pixels=finish(image, drawing), steps_run=steps_run, seconds=seconds, warnings=guest.warnings,
                quality_score=score, engine=self._engine,
            )  # fmt: skip

        self._thread.submit(self._conclude, guest, conclude)

    def show(self, sketch: Sketch, image: NDArray[np.float32] | Exception) -> None:
        """What an image looks like now, to whoever asked to see it."""
        self._thread.submit(self._show, sketch, image)

    def hand_over(self, guest: Guest, drawn: Drawn) -> None:
        self._thread.submit(self._tell, guest, replace(drawn, engine=self._engine))

    def regret(self, guest: Guest, error: Exception) -> None:
        self._thread.submit(self._refuse, guest, error)

    def close(self) -> None:
        """Returns when everybody has been told."""
        self._thread.shutdown(wait=True)

    def _show(self, sketch: Sketch, image: NDArray[np.float32] | Exception) -> None:
        drawing = sketch.guest.drawing
        with bound_contextvars(**drawing.traced):
            if isinstance(image, Exception):
                log.error("A preview of image %s could not be decoded.", drawing.image_id, exc_info=image)
                return
            try:
                sketch.guest.show(preview_of(sketch, image))
            except Exception:
                log.exception("Nobody looked at a preview of image %s.", drawing.image_id)

    def _conclude(self, guest: Guest, conclude: Callable[[], Drawn]) -> None:
        try:
            drawn = conclude()
        except Exception as error:  # noqa: BLE001  handed on: without it the future would never end
            self._refuse(guest, error)
        else:
            self._tell(guest, drawn)

    @staticmethod
    def _tell(guest: Guest, drawn: Drawn) -> None:
        model = guest.drawing.checkpoint.measured_as
        metrics.ENGINE_IMAGES.labels("drawn").inc()
        metrics.ENGINE_DRAW_SECONDS.labels(model).observe(drawn.seconds)
        if drawn.quality_score is not None:
            metrics.QUALITY_SCORE.labels(model).observe(drawn.quality_score)
        guest.future.set_result(drawn)

    @staticmethod
    def _refuse(guest: Guest, error: Exception) -> None:
        with bound_contextvars(**guest.drawing.traced):
            explained = explain(guest.drawing, error)
        metrics.ENGINE_IMAGES.labels(explained.code).inc()
        guest.future.set_exception(explained)
