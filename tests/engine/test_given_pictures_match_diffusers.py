"""From noise, from a picture, into a picture: each sampler draws what plain diffusers draws, whatever its company."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from generation.engine.device import choose_device
from generation.engine.group import slot_of
from generation.engine.guest import Guest
from generation.engine.protocol import Checkpoint, Drawing, EngineError, Pixels
from generation.engine.samplers import scheduler_of
from generation.engine.studio import Studio
from generation.samplers import SAMPLERS, Sampler
from tests import tiny
from tests.engine.asking import a_drawing
from tests.engine.test_company import LATENTS, draw_staggered, same, seat

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

STRENGTHS = (0.5, 0.8, 1.0)
WAYS = ("txt2img", "img2img", "inpaint")


@dataclass(frozen=True)
class Kind:
    """A family with its pipelines of diffusers: from noise, from a picture, into a picture."""

    build: Callable[[Path], Path]
    pipelines: tuple[str, str, str]

    def plain(self, folder: Path, way: str) -> Any:
        pipeline = getattr(diffusers, self.pipelines[WAYS.index(way)]).from_pretrained(folder, dtype=torch.float32)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


SD = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline")
XL = ("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline")
KINDS = {
    "sd": Kind(tiny.build, SD),
    "sd that sees the mask": Kind(tiny.build_inpaint, SD),
    "xl": Kind(tiny.build_xl, XL),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: kind.build(tmp_path_factory.mktemp("model")) for name, kind in KINDS.items()}


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with torch.no_grad():
        yield Studio(choose_device("cpu"), models_held=3, most_slots=64)


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return np.random.default_rng(5).integers(0, 255, (64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def mask() -> Pixels:
    drawn = np.zeros((64, 64, 3), dtype=np.uint8)
    drawn[10:50, 20:60] = 255
    return drawn


def alone(kind: Kind, folder: Path, drawing: Drawing) -> torch.Tensor:
    """What plain diffusers draws, (c, h, w); each drawing once."""
    key = (folder, drawing.sampler, drawing.prompt, drawing.clip_skip, drawing.init_image is None, drawing.mask is None)
    if key not in _drawn:
        _drawn[key] = _alone(kind, folder, drawing)
    return _drawn[key]


_drawn: dict[tuple[Any, ...], torch.Tensor] = {}


def _alone(kind: Kind, folder: Path, drawing: Drawing) -> torch.Tensor:
    way = "txt2img" if drawing.init_image is None else "img2img" if drawing.mask is None else "inpaint"
    pipeline = _pipeline(kind, folder, way)
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    pipeline.scheduler = scheduler_of(drawing, config)
    given: dict[str, Any] = {}
    if drawing.init_image is None:
        given = {"width": drawing.width, "height": drawing.height}
    else:
        given = {"image": Image.fromarray(drawing.init_image), "strength": drawing.strength}
    if drawing.mask is not None:
        given |= {"mask_image": Image.fromarray(drawing.mask), "width": drawing.width, "height": drawing.height}
    output = pipeline(
        drawing.prompt, negative_prompt=drawing.negative_prompt or None, num_inference_steps=drawing.steps,
        guidance_scale=drawing.cfg_scale, clip_skip=drawing.clip_skip - 1 or None,
        generator=torch.Generator().manual_seed(drawing.seed), output_type="latent", **given,
    )  # fmt: skip
    latents: torch.Tensor = output.images[0]
    return latents


_loaded: dict[tuple[Path, str], Any] = {}


def _pipeline(kind: Kind, folder: Path, way: str) -> Any:
    if (folder, way) not in _loaded:
        _loaded[folder, way] = kind.plain(folder, way)
    return _loaded[folder, way]


def wishes(at: int, way: str, photo: Pixels, mask: Pixels) -> dict[str, Any]:
    given: dict[str, Any] = {} if way == "txt2img" else {"init_image": photo, "strength": STRENGTHS[at % 3]}
    if way == "inpaint":
        given["mask"] = mask
    return given | {
        "prompt": f"a cat, {at}", "negative_prompt": "b" * (at % 3), "seed": at, "steps": 3 + at * 5 % 4,
        "cfg_scale": 1.5 + at / 8,
    }  # fmt: skip


def check(kind: Kind, folder: Path, guests: list[Guest]) -> None:
    for guest in guests:
        drawn = slot_of(guest).sampling.latents[0]
        assert same(drawn, alone(kind, folder, guest.drawing)), guest.drawing


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_alone(
    sampler: Sampler, way: str, studio: Studio, folders: dict[str, Path], photo: Pixels, mask: Pixels
) -> None:
    checkpoint = Checkpoint(name="sd", source=str(folders["sd"]))
    at = SAMPLERS.index(sampler)
    guest = seat(studio, a_drawing(checkpoint, sampler=sampler.name, **wishes(at, way, photo, mask)))
    draw_staggered(studio, [guest], 0)
    check(KINDS["sd"], folders["sd"], [guest])


@pytest.mark.parametrize("apart", [0, 1], ids=["in company", "late joiners"])
def test_every_sampler_and_way_in_one_group(
    apart: int, studio: Studio, folders: dict[str, Path], photo: Pixels, mask: Pixels
) -> None:
    checkpoint = Checkpoint(name="sd", source=str(folders["sd"]))
    guests = [
        seat(studio, a_drawing(checkpoint, sampler=sampler.name, **wishes(at, way, photo, mask)))
        for at, sampler in enumerate(SAMPLERS)
        for way in WAYS
    ]
    assert len({guest.key for guest in guests}) == 1
    draw_staggered(studio, guests, apart)
    check(KINDS["sd"], folders["sd"], guests)


@pytest.mark.parametrize("kind", ["sd that sees the mask", "xl"])
def test_other_kinds_in_company(
    kind: str, studio: Studio, folders: dict[str, Path], photo: Pixels, mask: Pixels
) -> None:
    checkpoint = Checkpoint(name=kind, source=str(folders[kind]))
    ways = ["inpaint"] if "mask" in kind else list(WAYS)
    solvers = [sampler for sampler in SAMPLERS if not sampler.schedule]
    guests = [
        seat(studio, a_drawing(checkpoint, sampler=sampler.name, **wishes(at, way, photo, mask)))
        for at, sampler in enumerate(solvers)
        for way in ways
    ]
    draw_staggered(studio, guests, 1)
    check(KINDS[kind], folders[kind], guests)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["sd", "xl"])
def test_in_half_precision_the_latents_stay_as_narrow_as_the_model(
    kind: str, way: str, folders: dict[str, Path], photo: Pixels, mask: Pixels
) -> None:
    checkpoint = Checkpoint(name=kind, source=str(folders[kind]))
    with torch.no_grad():
        studio = Studio(choose_device("cpu", dtype="bfloat16"), models_held=1, most_slots=4)
        guest = seat(studio, a_drawing(checkpoint, **wishes(2, way, photo, mask)))
        draw_staggered(studio, [guest], 0)
    latents = slot_of(guest).sampling.latents
    assert latents.dtype == torch.bfloat16
    assert latents.isfinite().all()


def test_a_skipped_layer(studio: Studio, folders: dict[str, Path]) -> None:
    checkpoint = Checkpoint(name="xl", source=str(folders["xl"]))
    guests = [seat(studio, a_drawing(checkpoint, clip_skip=skip, negative_prompt="blue")) for skip in (1, 2)]
    draw_staggered(studio, guests, 0)
    check(KINDS["xl"], folders["xl"], guests)
    first, second = (slot_of(guest).sampling.latents for guest in guests)
    assert (first - second).abs().max() > 10 * LATENTS


def test_a_skipped_layer_of_the_first_generation(studio: Studio, folders: dict[str, Path]) -> None:
    """diffusers 0.42 cannot skip with transformers 5, so the layers are counted here."""
    checkpoint = Checkpoint(name="sd", source=str(folders["sd"]))
    encoder = studio.models.model(checkpoint).pipeline.text_encoder
    layers: list[torch.Tensor] = []
    hooks = [layer.register_forward_hook(lambda *call: layers.append(call[-1])) for layer in encoder.encoder.layers]
    guests = [seat(studio, a_drawing(checkpoint, prompt="another cat", clip_skip=skip)) for skip in (1, 2)]
    for hook in hooks:
        hook.remove()
    outputs = [layer[0] if isinstance(layer, tuple) else layer for layer in layers]
    assert len(encoder.encoder.layers) == 2
    for guest, last in zip(guests, (outputs[1], outputs[-2]), strict=True):
        assert slot_of(guest).prompt.hidden.allclose(encoder.final_layer_norm(last)[0], atol=1e-5)
    assert not slot_of(guests[0]).prompt.hidden.allclose(slot_of(guests[1]).prompt.hidden, atol=1e-3)


def test_more_layers_than_there_are(studio: Studio, folders: dict[str, Path]) -> None:
    with pytest.raises(EngineError, match="layers") as caught:
        seat(studio, a_drawing(Checkpoint(name="sd", source=str(folders["sd"])), clip_skip=9))
    assert (caught.value.code, caught.value.permanent) == ("clip_skip_too_large", True)


def test_a_model_that_sees_the_mask_draws_from_nothing_too(studio: Studio, folders: dict[str, Path]) -> None:
    checkpoint = Checkpoint(name="inpaint", source=str(folders["sd that sees the mask"]))
    guest = seat(studio, a_drawing(checkpoint))
    draw_staggered(studio, [guest], 0)
    assert slot_of(guest).sampling.latents.isfinite().all()


def test_and_needs_a_mask_to_start_from_a_picture(studio: Studio, folders: dict[str, Path], photo: Pixels) -> None:
    checkpoint = Checkpoint(name="inpaint", source=str(folders["sd that sees the mask"]))
    with pytest.raises(EngineError) as caught:
        seat(studio, a_drawing(checkpoint, init_image=photo, strength=0.5))
    assert caught.value.code == "mask_needed"
