"""Asking an engine for one picture."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from generation.engine.protocol import Admission, Checkpoint, Drawing, Drawn, Engine

TOLERANCE = 2  # of 255: a call for many images adds up in another order than a call for one


def farthest(picture: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """The largest difference of any pixel, of 255."""
    return int(np.abs(picture.astype(int) - other.astype(int)).max())


def a_drawing(checkpoint: Checkpoint, **wishes: Any) -> Drawing:
    usual: dict[str, Any] = {
        "prompt": "a cat",
        "negative_prompt": "",
        "steps": 4,
        "width": 64,
        "height": 64,
        "cfg_scale": 7.0,
        "sampler": "Euler a",
        "seed": 7,
    }
    return Drawing(image_id=uuid4(), checkpoint=checkpoint, **{**usual, **wishes})


def admit(
    engine: Engine,
    drawing: Drawing,
    *,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    stop: Event | None = None,
) -> "Future[Drawn]":
    assert engine.wait_for_slot(timeout=30) >= 1
    return engine.admit(Admission(drawing=drawing, on_step=on_step, stop=stop or Event()))


def draw(engine: Engine, checkpoint: Checkpoint, **wishes: Any) -> Drawn:
    return admit(engine, a_drawing(checkpoint, **wishes)).result(timeout=60)
