"""One denoising loop, many guests: continuous batching for diffusion.

The engine's thread takes turns. In each, newcomers are seated in the group they can share model calls with; one group
makes one step, all its images in one call of the model; whoever has finished leaves its place to the next at once; and
some finished latents are decoded. An image comes and goes at any step, and never learns what company it had.
"""

import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from threading import Thread

import torch

from easel import metrics
from generation.engine.allowance import Allowance
from generation.engine.device import choose_device, is_device_lost, prepare_thread
from generation.engine.door import Door
from generation.engine.failures import let_go_of_tensors, together
from generation.engine.gauges import DeviceWatch, probe_of
from generation.engine.group import Farewell, Group, develop, glance
from generation.engine.guest import GroupKey, Guest
from generation.engine.herald import Herald
from generation.engine.preview import Sketch
from generation.engine.protocol import Admission, Checkpoint, DeviceLost, DrawingStopped, Drawn, EngineError
from generation.engine.studio import Studio
from generation.engine.versions import versions
from generation.engine.watchdog import Watchdog, end_at_once

log = logging.getLogger(__name__)

MOST_SLOTS = {"cpu": 16, "cuda": 64}
PREVIEW_SHARE = 0.019  # of the device's time, while all places are taken; with the last one's excess, 2 %
DECODED_PIXELS = 512 * 512  # in one turn: decoding more at a time would keep the others waiting


def end_process() -> None:
    """Asks this process to stop, as its supervisor would, which then starts it anew."""
    os.kill(os.getpid(), signal.SIGTERM)


class LoopEngine:
    """`most_slots` bounds what warm-up may measure; 0 leaves it to the device. `notes` is the file that keeps what was
    measured, `memory` how many bytes the models held may take together (0: any), `preview_share` the part of its time
    that may go into previews while all places are taken. `device_lost` is called once if the device fails for good,
    in the engine's thread, when everybody has been sent away; `device_hung` once if it has not answered for
    `hang_seconds` (0: nobody looks), while the engine's thread is stuck."""

    def __init__(
        self,
        *,
        device: str = "auto",
        threads: int = 0,
        models_held: int = 2,
        most_slots: int = 0,
        notes: Path | None = None,
        memory: int = 0,
        dtype: str = "auto",
        compiler: str = "",
        preview_share: float = PREVIEW_SHARE,
        device_lost: Callable[[], None] = end_process,
        hang_seconds: float = 0.0,
        device_hung: Callable[[], None] = end_at_once,
    ) -> None:
        chosen = choose_device(device, dtype=dtype, compiler=compiler)
        most = most_slots or MOST_SLOTS[torch.device(chosen.name).type]
        self._watchdog = Watchdog(seconds=hang_seconds, end=device_hung)
        self._studio = Studio(
            chosen, models_held=models_held, most_slots=most, notes=notes, memory=memory, watchdog=self._watchdog
        )
        self._door, self._herald = Door(most=most), Herald(versions(chosen))
        self._groups: deque[Group] = deque()
        self._finished: deque[Guest] = deque()
        self._sketches: deque[Sketch] = deque()
        self._courtesy = Allowance(preview_share)
        self._most_finished = most
        self._device_lost = device_lost
        self._watch = DeviceWatch(chosen.name, probe_of(chosen.name))
        self._thread = Thread(target=self._run, args=(threads,), name="engine", daemon=True)
        self._thread.start()

    def warm_up(self, checkpoints: list[Checkpoint]) -> None:
        for at, checkpoint in enumerate(checkpoints[: self._studio.models.most]):
            try:
                self._door.send(partial(self._studio.warm_up, checkpoint, beside=checkpoints[:at])).result()
            except CancelledError:
                return
            except Exception:
                log.exception("Model %s could not be warmed up.", checkpoint.name)  # whoever asks for it is told then

    def wait_for_slot(self, timeout: float) -> int:
        return self._door.wait_for_place(timeout)

    def admit(self, admission: Admission) -> "Future[Drawn]":
        guest = Guest(admission, self._door.closed)
        if not self._door.enter(guest):
            guest.future.set_exception(DrawingStopped())
        return guest.future

    def close(self) -> None:
        self._door.close()
        self._thread.join()
        self._watchdog.close()
        self._watch.close()
        self._herald.close()

    # --- in the engine's thread ---------------------------------------------------------------------------

    @torch.no_grad()
    def _run(self, threads: int) -> None:
        prepare_thread(threads)
        while self._wait_for_somebody():
            try:
                self._turn()
            except Exception as error:
                if is_device_lost(error):
                    self._leave_with_device(error)
                    return
                log.exception("The engine stumbled; all that was being drawn is given up.")
                let_go_of_tensors(error)
                # Whatever it was, it says of none of them that it cannot be drawn.
                detail = f"The engine failed: {type(error).__name__}: {error}"
                self._send_everybody_away(EngineError("engine_failed", detail, permanent=False))
        self._send_everybody_away(DrawingStopped())
        self._studio.clear()

    def _wait_for_somebody(self) -> bool:
        self._watchdog.rest()
        there = self._door.wait_for_somebody(busy=bool(self._groups or self._finished or self._sketches))
        self._watchdog.on()
        return there

    def _leave_with_device(self, error: Exception) -> None:
        """An engine that went on would fail every image within milliseconds, and take the next before others can.
        Nothing is cleared: the device answers no more, its memory goes with the process."""
        self._watchdog.rest()
        log.critical("The device is lost; this process draws nothing more and ends.", exc_info=error)
        self._door.close()
        self._send_everybody_away(DeviceLost())
        self._device_lost()

    def _turn(self) -> None:
        self._door.run_errands()
        self._see_off_stopped()
        self._seat_newcomers()
        started = time.perf_counter()
        self._advance_next_group()
        self._develop()
        self._courtesy.earn(time.perf_counter() - started)
        self._preview()
        self._door.announce(self._studio.capacity.places)

    def _see_off_stopped(self) -> None:
        for group in self._groups:
            for guest in group.leave_if(lambda each: each.dismissal is not None):
                self._leave(guest, guest.dismissal or DrawingStopped())
        self._forget_empty_groups()

    def _seat_newcomers(self) -> None:
        waiting = False
        for guest in self._door.newcomers():
            dismissal = guest.dismissal
            if dismissal is None and (waiting or not self._has_room_for_model_of(guest)):
                waiting = True  # its turn comes next, before anybody's who came later; but who is stopped may leave
                continue
            self._door.seated(guest)
            error = dismissal or self._prepare(guest)
            if error is None:
                self._group(guest).guests.append(guest)
            elif is_device_lost(error):
                self._leave(guest, DeviceLost())
                raise error
            else:
                self._leave(guest, error)

    def _advance_next_group(self) -> None:
        if not self._groups:
            return
        group = self._next_group()
        for guest, farewell in group.advance(self._studio):
            self._leave(guest, farewell)
        self._sketches.extend(group.sketches)
        group.sketches.clear()
        self._forget_empty_groups()

    def _preview(self) -> None:
        """Some a turn. A picture that was dismissed meanwhile is not looked at; one that cannot be decoded is missed by
        nobody but its viewer. While all places are taken, previews keep to their allowance."""
        if not self._sketches:
            return
        if self._door.is_full and not self._courtesy.left:
            metrics.PREVIEWS.labels("unaffordable").inc(len(self._sketches))
            self._sketches.clear()
            return
        key = self._sketches[0].guest.key
        alike = [sketch for sketch in self._sketches if sketch.guest.key == key][: self._at_a_time(key)]
        for sketch in alike:
            self._sketches.remove(sketch)
        wanted = [sketch for sketch in alike if sketch.guest.dismissal is None]
        started = time.perf_counter()
        images = glance(self._studio, key, wanted)
        took = time.perf_counter() - started
        self._courtesy.spend(took)
        metrics.ENGINE_PREVIEW_SECONDS.labels(key.checkpoint.measured_as).inc(took)
        for sketch, image in zip(wanted, images, strict=True):
            self._herald.show(sketch, image)

    def _develop(self) -> None:
        """Some a turn, so that no step waits for long; all but a few where images finish faster than that."""
        while self._finished:
            self._develop_some()
            if len(self._finished) <= self._most_finished:
                return

    def _develop_some(self) -> None:
        key = self._finished[0].key
        alike = [guest for guest in self._finished if guest.key == key][: self._at_a_time(key)]
        for guest, image in zip(alike, develop(self._studio, key, alike), strict=True):
            self._finished.remove(guest)
            if isinstance(image, Exception):
                self._herald.regret(guest, image)
            else:
                self._herald.present(guest, image)

    @staticmethod
    def _at_a_time(key: GroupKey) -> int:
        return max(1, DECODED_PIXELS // key.area)

    def _leave(self, guest: Guest, farewell: Farewell) -> None:
        """Its place is free from now on, even if its picture is still to be decoded."""
        self._door.left()
        if isinstance(farewell, Exception):
            self._herald.regret(guest, farewell)
        elif farewell is None:
            self._finished.append(guest)
        else:
            self._herald.hand_over(guest, farewell)

    def _send_everybody_away(self, error: Exception) -> None:
        for guest in self._door.newcomers():
            self._door.seated(guest)
            self._leave(guest, error)
        for group in self._groups:
            for guest in group.leave_if(lambda _: True):
                self._leave(guest, error)
        for guest in self._finished:
            self._herald.regret(guest, error)
        self._groups.clear()
        self._finished.clear()
        self._sketches.clear()

    # --- which group, which models ------------------------------------------------------------------------

    def _group(self, guest: Guest) -> Group:
        found = next((group for group in self._groups if group.key == guest.key), None)
        if found is None:
            found = Group(guest.key)
            self._groups.append(found)
        return found

    def _next_group(self) -> Group:
        """In turns. Of models that turned out not to fit together, the one in memory is drawn with to the end first:
        changing to and fro, each step would load a model."""
        models = self._studio.models
        held = {group.key.checkpoint for group in self._groups if models.holds(group.key.checkpoint)}

        def may_go_on(checkpoint: Checkpoint) -> bool:
            return not held or checkpoint in held or models.has_room(checkpoint, held)

        group = next(group for group in self._groups if may_go_on(group.key.checkpoint))
        self._groups.remove(group)
        self._groups.append(group)
        return group

    def _forget_empty_groups(self) -> None:
        self._groups = deque(group for group in self._groups if group.guests)

    def _prepare(self, guest: Guest) -> Exception | None:
        """`make_room` for one leaves all memory to its model; the others' are loaded again at their next turn.

        Whatever goes wrong is returned: a guest that is no newcomer any more and in no group yet would be missed."""
        checkpoint = guest.drawing.checkpoint
        try:
            self._studio.models.prefer(self._models_in_use())
            (outcome,) = together(self._studio.prepare, [guest], lambda _: self._studio.models.keep_only(checkpoint))
        except Exception as error:  # noqa: BLE001  as above
            return error
        return outcome if isinstance(outcome, Exception) else None

    def _has_room_for_model_of(self, guest: Guest) -> bool:
        in_use = self._models_in_use()
        return self._studio.models.has_room(guest.drawing.checkpoint, in_use)

    def _models_in_use(self) -> set[Checkpoint]:
        drawn = [*self._finished, *(sketch.guest for sketch in self._sketches)]
        keys = [*(group.key for group in self._groups), *(guest.key for guest in drawn)]
        return {key.checkpoint for key in keys}
