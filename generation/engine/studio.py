"""What touches the device: models in memory, prompts read, calls made, pictures decoded. It knows no order of work."""

import logging
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from uuid import UUID

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generation.engine import whole
from generation.engine.capacity import Capacity, measure
from generation.engine.device import Device, free_memory
from generation.engine.families import Family, Text, family_of
from generation.engine.guest import GroupKey, Guest, Slot
from generation.engine.loading import Model, load, weigh
from generation.engine.notes import SlotNotes
from generation.engine.origin import origin_of
from generation.engine.picture import drawn_size, warnings
from generation.engine.preview import PREVIEW_EDGE, shrink
from generation.engine.protocol import Checkpoint, Drawing, Drawn
from generation.engine.quality import Watch
from generation.engine.residency import Residency
from generation.engine.samplers import scheduler_of
from generation.engine.sampling import Sampling
from generation.engine.texts import Texts
from generation.engine.watchdog import Watchdog

log = logging.getLogger(__name__)

WARM_UP_EDGE = 512


class Studio:
    """Belongs to the engine's thread."""

    def __init__(
        self, device: Device, *, models_held: int, most_slots: int, notes: Path | None = None, memory: int = 0,
        watchdog: Watchdog | None = None,
    ) -> None:  # fmt: skip
        self._device, self._watchdog = device, watchdog or Watchdog(seconds=0)
        self.models = Residency(self._load, most=models_held, budget=memory, weigh=weigh)
        self.capacity = Capacity(most=most_slots)
        self._most_slots = most_slots
        self._buckets = bool(device.compiler)
        self._notes = SlotNotes(notes, device=device)
        self._texts = Texts()

    def prepare(self, guests: list[Guest]) -> list[GroupKey]:
        """Load their models if need be; find out with whom each can be drawn."""
        for guest in guests:
            self._prepare(guest)
        return [guest.key for guest in guests]

    def predict(self, key: GroupKey, slots: list[Slot]) -> list[Tensor]:
        """One model call for all; a prediction (1, c, h, w) for each, its guidance applied."""
        asked = len(slots)
        if self._buckets:  # a compiled model is compiled for each size of a call: let there be few
            slots = slots + slots[-1:] * ((1 << (asked - 1).bit_length()) - asked)
        return self._predict(key, slots)[:asked]

    def _predict(self, key: GroupKey, slots: list[Slot]) -> list[Tensor]:
        family = self._family(key.checkpoint)
        latents = torch.cat([_seen(slot.sampling) for slot in slots])
        timesteps = torch.tensor([slot.sampling.timestep for slot in slots], device=latents.device)
        prompts = [slot.prompt for slot in slots]
        negatives = [slot.negative for slot in slots if slot.negative is not None]
        if not key.guided:
            return list(family.predict(latents, timesteps, prompts).chunk(len(slots)))
        twice = family.predict(torch.cat([latents] * 2), torch.cat([timesteps] * 2), [*negatives, *prompts])
        away, towards = twice.chunk(2)
        guidance = torch.tensor([slot.guidance for slot in slots], device=twice.device, dtype=twice.dtype)
        return list((away + guidance.view(-1, 1, 1, 1) * (towards - away)).chunk(len(slots)))

    def decode(self, key: GroupKey, slots: list[Slot]) -> list[NDArray[np.float32]]:
        """Pictures (h, w, 3) from 0 to 1."""
        latents = torch.cat([slot.sampling.latents for slot in slots])
        return list(self._family(key.checkpoint).decode(latents).numpy())

    def preview(self, key: GroupKey, latents: list[Tensor]) -> list[NDArray[np.float32]]:
        """Small pictures (h, w, 3) from 0 to 1 of predicted clean latents (1, c, h, w)."""
        family = self._family(key.checkpoint)
        return list(family.decode(shrink(torch.cat(latents), PREVIEW_EDGE // family.scale)).numpy())

    def draw_whole(self, guests: list[Guest]) -> list[Drawn]:
        return [self._draw_whole(guest) for guest in guests]

    def _draw_whole(self, guest: Guest) -> Drawn:
        def after_step(done: int, total: int) -> None:
            self._watchdog.on()
            guest.after_step(done, total)

        return whole.draw(self.models.model(guest.key.checkpoint), guest.drawing, after_step)

    def make_room(self, key: GroupKey, guests: int) -> None:
        """After so many did not fit: fewer at a time, or all memory to the model of the only one."""
        log.warning("Out of memory with %s images of %s.", guests, key.checkpoint.name)
        if guests > 1:
            self.capacity.halve(key.checkpoint, guests=guests, area=key.area)
            free_memory()
        else:
            self.models.keep_only(key.checkpoint)

    def slots(self, key: GroupKey) -> int:
        return 1 if key.whole else self.capacity.slots(key.checkpoint, key.area)

    def warm_up(self, checkpoint: Checkpoint, *, beside: Collection[Checkpoint] = ()) -> None:
        """Load it, draw two steps, and measure how many slots are worth having. It takes the room of none `beside` it,
        which will be asked for before."""
        if not self.models.has_room(checkpoint, [each for each in beside if self.models.holds(each)]):
            log.info("Model %s is loaded when it is asked for: there is no room beside the others.", checkpoint.name)
            return
        edge = checkpoint.native_size or WARM_UP_EDGE
        drawing = Drawing(
            image_id=UUID(int=0), checkpoint=checkpoint, prompt="warm-up", negative_prompt="", steps=2, width=edge,
            height=edge, cfg_scale=7.0, sampler="Euler", seed=0,
        )  # fmt: skip
        model = self.models.model(checkpoint)
        family = family_of(model)
        if family is None:
            whole.draw(model, drawing, lambda done, total: None)
            self.capacity.learn(checkpoint, slots=1, area=1)
        else:
            self._measure(GroupKey(checkpoint, edge, edge, guided=True), self._slot(model, family, drawing))
        log.info("Warmed up model %s: %s slots.", checkpoint.name, self.capacity.places)

    def clear(self) -> None:
        self._texts.clear()
        self.models.clear()

    def _load(self, checkpoint: Checkpoint) -> Model:
        with self._watchdog.unwatched():  # it may have to be fetched first
            return load(checkpoint, device=self._device)

    def _prepare(self, guest: Guest) -> None:
        """Read its words, make its noise."""
        model = self.models.model(guest.drawing.checkpoint)
        guest.warnings = warnings(model, guest.drawing)
        family = family_of(model)
        if family is None:
            guest.key = GroupKey(model.checkpoint, 0, 0, guided=False)
            return
        guest.slot = self._slot(model, family, guest.drawing)
        width, height = drawn_size(model, guest.drawing)
        guest.key = GroupKey(model.checkpoint, height, width, guided=guest.slot.negative is not None)

    def _measure(self, key: GroupKey, slot: Slot) -> None:
        self.decode(key, [slot])

        def seconds_of(slots: int) -> float:
            return _seconds(partial(self.predict, key, [slot] * slots))

        slots = self._notes.recall(key.checkpoint, area=key.area)
        if slots is None:
            slots = measure(seconds_of, self._most_slots)
            self._notes.note(key.checkpoint, area=key.area, slots=slots)
        self.capacity.learn(key.checkpoint, slots=slots, area=key.area)

    def _slot(self, model: Model, family: Family, drawing: Drawing) -> Slot:
        generator = torch.Generator("cpu").manual_seed(drawing.seed)  # the same noise on every device
        origin = origin_of(family, drawing, *drawn_size(model, drawing), generator)
        return Slot(
            sampling=Sampling(scheduler_of(drawing, model.scheduler_config), drawing.steps, origin, generator),
            prompt=self._texts.get(model.checkpoint, drawing.prompt, drawing.clip_skip, family.encode),
            negative=self._negative(model, family, drawing),
            guidance=drawing.cfg_scale,
            watch=Watch(
                target=drawing.quality_target, min_steps=drawing.min_steps, planned_steps=drawing.planned_steps
            ),
        )

    def _negative(self, model: Model, family: Family, drawing: Drawing) -> Text | None:
        """As diffusers has it: no guidance up to 1."""
        if drawing.cfg_scale <= 1:
            return None
        return self._texts.get_negative(model.checkpoint, drawing.negative_prompt, family.encode_negative)

    def _family(self, checkpoint: Checkpoint) -> Family:
        family = family_of(self.models.model(checkpoint))
        if family is None:
            raise TypeError(f"{checkpoint.name} is drawn by whole calls only.")
        return family


def _seen(sampling: Sampling) -> Tensor:
    """All that the model is shown of an image: (1, k, h, w)."""
    latents = sampling.model_input()
    return latents if sampling.beside is None else torch.cat([latents, sampling.beside], dim=1)


def _seconds(call: partial[list[Tensor]]) -> float:
    started = time.perf_counter()
    call()[0].sum().item()  # waits for the device
    return time.perf_counter() - started
