"""An image is the same alone and in company, whoever the others are and whenever they come and go."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor

from generation.engine.device import choose_device
from generation.engine.group import Group, develop, slot_of
from generation.engine.guest import Guest
from generation.engine.picture import finish
from generation.engine.protocol import Admission, Checkpoint, Drawing
from generation.engine.samplers import scheduler_of
from generation.engine.studio import Studio
from generation.samplers import SAMPLERS
from tests.engine.asking import TOLERANCE, a_drawing, farthest

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

LATENTS = 5e-4  # largest difference of any latent, in float32
ROUNDING = 1e-5  # the same, of the largest latent: the tiny model's reach 160 with some samplers
SOLVERS = [sampler for sampler in SAMPLERS if not sampler.schedule]
SUFFIXED = [sampler for sampler in SAMPLERS if sampler.schedule]


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with torch.no_grad():
        yield Studio(choose_device("cpu"), models_held=1, most_slots=32)


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Any:
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def drawings(checkpoint: Checkpoint) -> list[Drawing]:
    """Every solver once, half of them with a schedule; no two alike in steps, guidance, seed and words."""
    samplers = [next((s for s in SUFFIXED if s.solver == each.solver and at % 2), each) for at, each in
                enumerate(SOLVERS)]  # fmt: skip
    return [
        a_drawing(
            checkpoint, prompt=f"a cat, {at}", negative_prompt="b" * (at % 3), sampler=sampler.name, seed=at,
            steps=3 + at * 5 % 7, cfg_scale=1.5 + at / 2,
        )
        for at, sampler in enumerate(samplers)
    ]  # fmt: skip


def reference(pipeline: Any, studio: Studio, drawing: Drawing, output: str) -> Any:
    """What plain diffusers draws, all by itself."""
    pipeline.scheduler = scheduler_of(drawing, studio.models.model(drawing.checkpoint).scheduler_config)
    return pipeline(
        drawing.prompt,
        negative_prompt=drawing.negative_prompt,
        num_inference_steps=drawing.steps,
        guidance_scale=drawing.cfg_scale,
        width=drawing.width,
        height=drawing.height,
        generator=torch.Generator().manual_seed(drawing.seed),
        output_type=output,
    ).images[0]


def seat(studio: Studio, drawing: Drawing) -> Guest:
    guest = Guest(Admission(drawing=drawing, on_step=lambda done, total: None, stop=Event()), Event())
    studio.prepare([guest])
    return guest


def draw_staggered(studio: Studio, guests: list[Guest], apart: int) -> int:
    """All in one group, one joining every `apart` steps (0: all at once). Returns the number of model calls."""
    group, waiting, calls = Group(guests[0].key), list(guests), 0
    while group.guests or waiting:
        while waiting and calls >= apart * (len(guests) - len(waiting)):
            group.guests.append(waiting.pop(0))
        for _, farewell in group.advance(studio):
            assert farewell is None
        calls += 1
    return calls


def latents_of(guest: Guest) -> Tensor:
    return slot_of(guest).sampling.latents[0]


def same(latents: Tensor, alone: Tensor) -> bool:
    """But for what float32 rounds off in another order: processors differ in that."""
    return bool((latents - alone).abs().max() <= max(LATENTS, ROUNDING * float(alone.abs().max())))


@pytest.mark.parametrize("apart", [0, 1, 2], ids=["together", "late joiners", "very late joiners"])
def test_every_solver_in_mixed_company(apart: int, studio: Studio, pipeline: Any, drawings: list[Drawing]) -> None:
    guests = [seat(studio, drawing) for drawing in drawings]
    assert {guest.key for guest in guests} == {guests[0].key}
    calls = draw_staggered(studio, guests, apart)
    assert calls < sum(slot_of(guest).sampling.calls for guest in guests) / 2
    for guest in guests:
        alone = reference(pipeline, studio, guest.drawing, "latent")
        assert same(latents_of(guest), alone), guest.drawing.sampler


def test_pictures_decoded_together_are_those_decoded_alone(
    studio: Studio, pipeline: Any, drawings: list[Drawing]
) -> None:
    guests = [seat(studio, drawing) for drawing in drawings[:6]]
    draw_staggered(studio, guests, 0)
    for guest, image in zip(guests, develop(studio, guests[0].key, guests), strict=True):
        alone = np.asarray(reference(pipeline, studio, guest.drawing, "pil"))
        assert not isinstance(image, Exception)
        assert farthest(finish(image, guest.drawing), alone) <= TOLERANCE


def test_without_guidance_too(studio: Studio, pipeline: Any, checkpoint: Checkpoint) -> None:
    unguided = [a_drawing(checkpoint, cfg_scale=1.0, seed=seed, steps=3 + seed) for seed in range(4)]
    guests = [seat(studio, drawing) for drawing in unguided]
    draw_staggered(studio, guests, 1)
    for guest in guests:
        alone = reference(pipeline, studio, guest.drawing, "latent")
        assert same(latents_of(guest), alone)


def test_only_what_one_call_cannot_mix_separates_groups(studio: Studio, checkpoint: Checkpoint) -> None:
    usual = seat(studio, a_drawing(checkpoint)).key
    alike = {"steps": 9, "seed": 1, "cfg_scale": 3.0, "sampler": "DDIM", "prompt": "z", "negative_prompt": "y"}
    for wish, value in alike.items():
        assert seat(studio, a_drawing(checkpoint, **{wish: value})).key == usual, wish
    for wish, value in {"width": 128, "height": 128, "cfg_scale": 1.0}.items():
        assert seat(studio, a_drawing(checkpoint, **{wish: value})).key != usual, wish


def test_a_guest_that_leaves_half_way_changes_nothing_for_the_others(
    studio: Studio, pipeline: Any, drawings: list[Drawing]
) -> None:
    guests = [seat(studio, drawing) for drawing in drawings]
    group = Group(guests[0].key)
    group.guests = list(guests)
    list(group.advance(studio))
    leaver, *stayed = guests
    assert group.leave_if(lambda guest: guest is leaver) == [leaver]
    while group.guests:
        list(group.advance(studio))
    assert slot_of(leaver).sampling.done == 1
    for guest in stayed:
        assert same(latents_of(guest), reference(pipeline, studio, guest.drawing, "latent"))
