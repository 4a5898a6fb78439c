"""Brings the outcome to whoever waits for it, on a thread of its own: the engine's runs nobody else's code."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from generation.engine.failures import explain
from generation.engine.guest import Guest
from generation.engine.picture import finish
from generation.engine.protocol import Drawn


class Herald:
    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "herald")

    def present(self, guest: Guest, image: NDArray[np.float32]) -> None:
        """A decoded picture (h, w, 3), still to be brought to the size that was asked for."""
        seconds = guest.seconds
        drawing = guest.drawing
        self._thread.submit(
            self._conclude,
            guest,
            lambda: Drawn(
                pixels=finish(image, drawing), steps_run=drawing.steps, seconds=seconds, warnings=guest.warnings
            ),
        )

    def hand_over(self, guest: Guest, drawn: Drawn) -> None:
        self._thread.submit(guest.future.set_result, drawn)

    def regret(self, guest: Guest, error: Exception) -> None:
        self._thread.submit(lambda: guest.future.set_exception(explain(guest.drawing, error)))

    def close(self) -> None:
        """Returns when everybody has been told."""
        self._thread.shutdown(wait=True)

    def _conclude(self, guest: Guest, conclude: Callable[[], Drawn]) -> None:
        try:
            drawn = conclude()
        except Exception as error:  # noqa: BLE001  handed on: without it the future would never end
            guest.future.set_exception(explain(guest.drawing, error))
        else:
            guest.future.set_result(drawn)
