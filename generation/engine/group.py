"""Images that can share model calls, and the step they make together."""

import logging
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from structlog.contextvars import bound_contextvars
from torch import Tensor

from easel import metrics
from generation.engine.device import free_memory, is_device_lost, is_out_of_memory
from generation.engine.failures import let_go_of_tensors, together
from generation.engine.guest import GroupKey, Guest, Slot
from generation.engine.preview import Sketch
from generation.engine.protocol import Drawn, EngineError
from generation.engine.sampling import Sampling
from generation.engine.studio import Studio

log = logging.getLogger(__name__)

# Why a guest leaves: it failed or was stopped, it is drawn, or (None) its latents are and want decoding.
Farewell = Exception | Drawn | None


class Group:
    """Who came first has a slot; if there are more guests than slots (memory ran out), the others wait."""

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.guests: list[Guest] = []
        self.sketches: list[Sketch] = []  # that somebody wants to see, until the loop takes them

    def advance(self, studio: Studio) -> Iterator[tuple[Guest, Farewell]]:
        """One model call for all in slots, then each its own step. Whoever leaves is named with the reason."""
        seated = self.guests[: studio.slots(self.key)]
        for guest in seated:
            guest.begin()
        with metrics.ENGINE_STEP_SECONDS.labels(self.key.checkpoint.measured_as).time():
            farewells = list(self._call(studio, seated) if self.key.whole else self._step(studio, seated))
        for guest, farewell in farewells:
            self.guests.remove(guest)
            yield guest, farewell

    def leave_if(self, wants: Callable[[Guest], bool]) -> list[Guest]:
        leaving = [guest for guest in self.guests if wants(guest)]
        self.guests = [guest for guest in self.guests if guest not in leaving]
        return leaving

    def _step(self, studio: Studio, seated: list[Guest]) -> Iterator[tuple[Guest, Farewell]]:
        def predict(guests: list[Guest]) -> list[Tensor]:
            return studio.predict(self.key, slots_of(guests))

        predictions = together(predict, seated, partial(studio.make_room, self.key))
        for guest, prediction in zip(seated, predictions, strict=True):
            error = prediction if isinstance(prediction, Exception) else _step_alone(guest, prediction)
            sampling = slot_of(guest).sampling
            if error is not None or sampling.finished:
                yield guest, error
            elif guest.preview_due(sampling.done, sampling.calls):
                self._sketch(guest, sampling)

    def _sketch(self, guest: Guest, sampling: Sampling) -> None:
        """One that cannot be made is missed by nobody but its viewer."""
        try:
            clean = sampling.clean()
        except Exception as error:
            let_go_of_tensors(error)
            if is_device_lost(error):
                raise
            with bound_contextvars(**guest.drawing.traced):
                log.exception("A preview of image %s could not be begun.", guest.drawing.image_id)
        else:
            self.sketches.append(Sketch(guest=guest, clean=clean, done=sampling.done, total=sampling.calls))

    def _call(self, studio: Studio, seated: list[Guest]) -> Iterator[tuple[Guest, Farewell]]:
        drawn = together(studio.draw_whole, seated, partial(studio.make_room, self.key))
        yield from zip(seated, drawn, strict=True)


def develop(studio: Studio, key: GroupKey, guests: list[Guest]) -> list[NDArray[np.float32] | Exception]:
    """Decode the finished latents of one group's guests together."""

    def decode(some: list[Guest]) -> list[NDArray[np.float32]]:
        return studio.decode(key, slots_of(some))

    def make_room(some: int) -> None:
        """What does not fit here says nothing of how many fit into a model call."""
        free_memory() if some > 1 else studio.make_room(key, some)

    return together(decode, guests, make_room)


def glance(studio: Studio, key: GroupKey, sketches: list[Sketch]) -> list[NDArray[np.float32] | Exception]:
    """Decode what some images look like now, small."""
    if not sketches:
        return []

    def decode(some: list[Sketch]) -> list[NDArray[np.float32]]:
        return studio.preview(key, [sketch.clean for sketch in some])

    return together(decode, sketches, lambda _: free_memory())


def _step_alone(guest: Guest, prediction: Tensor) -> Exception | None:
    """A guest's own solver and its own listener: what goes wrong in them is its own, too."""
    sampling = slot_of(guest).sampling
    try:
        sampling.step(prediction)
        if slot_of(guest).watch.good_enough(sampling):
            sampling.stop_here()
        guest.after_step(sampling.done, sampling.calls)
    except Exception as error:
        if is_device_lost(error):  # a GPU reports what went wrong in a model call at a later call, such as this
            raise
        # A model call shrinks until it fits; a step cannot be made twice, but another attempt at it all can succeed.
        return EngineError("out_of_memory", str(error), permanent=False) if is_out_of_memory(error) else error
    return None


def slots_of(guests: list[Guest]) -> list[Slot]:
    return [slot_of(guest) for guest in guests]


def slot_of(guest: Guest) -> Slot:
    assert guest.slot is not None  # noqa: S101  only whole calls have none
    return guest.slot
