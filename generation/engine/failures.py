"""What becomes of an exception: a typed error with a log line, holding no tensors. And how a failure that many
images met together is narrowed down to those that cause it."""

import logging
import traceback
from collections.abc import Callable, Sequence
from typing import TypeVar

from generation.engine.device import is_device_lost, is_out_of_memory
from generation.engine.protocol import Drawing, DrawingStopped, EngineError

log = logging.getLogger(__name__)

Guest = TypeVar("Guest")
Result = TypeVar("Result")


def together(
    call: Callable[[list[Guest]], Sequence[Result]], guests: list[Guest], make_room: Callable[[int], None]
) -> list[Result | Exception]:
    """One result a guest, by one call for all. Where that fails, each half is tried by itself, down to the guest
    that cannot be served even alone: its result is the exception. Only a lost device is raised: it is no guest's
    fault, and smaller calls fail as well.

    Out of memory, `make_room(guests)` is told first how many did not fit; one alone gets a second chance after it."""
    outcome = _attempt(call, guests)
    if isinstance(outcome, Exception) and is_out_of_memory(outcome):
        make_room(len(guests))
        if len(guests) == 1:
            outcome = _attempt(call, guests)
    if not isinstance(outcome, Exception):
        return list(outcome)
    if len(guests) == 1:
        return [outcome]
    half = len(guests) // 2
    return [*together(call, guests[:half], make_room), *together(call, guests[half:], make_room)]


def _attempt(call: Callable[[list[Guest]], Sequence[Result]], guests: list[Guest]) -> Sequence[Result] | Exception:
    try:
        return call(guests)
    except Exception as error:
        let_go_of_tensors(error)
        if is_device_lost(error):
            raise
        return error  # whoever is left alone with it is told


def let_go_of_tensors(error: BaseException | None) -> None:
    """The frames of a failed call hold its tensors for as long as somebody holds the exception."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__


def explain(drawing: Drawing, error: Exception) -> EngineError:
    """The error to hand out for a drawing. The log names the image and never the words."""
    if isinstance(error, DrawingStopped):
        return error
    if isinstance(error, EngineError):
        log.error("Image %s was not drawn (%s): %s", drawing.image_id, error.code, error.detail)
        return error
    log.error("Image %s was not drawn.", drawing.image_id, exc_info=error)
    if is_out_of_memory(error):
        detail = f"{drawing.width}×{drawing.height} does not fit into this worker's memory."
        explained = EngineError("out_of_memory", detail, permanent=True)
    else:
        detail = f"The engine failed: {type(error).__name__}: {error}"
        explained = EngineError("engine_failed", detail, permanent=False)
    let_go_of_tensors(error)
    explained.__cause__ = error
    return explained
