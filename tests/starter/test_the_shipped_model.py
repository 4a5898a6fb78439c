"""The folder that is shipped: whole, small, and drawn with by plain diffusers."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForImage2Image, DiffusionPipeline
from numpy.typing import NDArray
from PIL import Image

from generation.registry import STARTER_STYLES
from starter.digest import WEIGHTS, is_intact
from starter.inpaint import inpainting_pipeline
from starter.samples import SAMPLES, SHOWN

LARGEST = 30_000_000  # bytes
NATIVE = 256

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    pipeline = DiffusionPipeline.from_pretrained(WEIGHTS)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def cat(pipeline: Any) -> Image.Image:
    return draw(pipeline, "a cat")


def draw(pipeline: Any, prompt: str, **options: Any) -> Image.Image:
    steps = options.pop("num_inference_steps", 6)
    generator = torch.Generator().manual_seed(options.pop("seed", 0))
    result = pipeline(prompt, num_inference_steps=steps, guidance_scale=4, generator=generator, **options)
    image: Image.Image = result.images[0]
    return image


def pixels(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image, np.float32)


def test_its_files_are_those_that_were_exported_and_fit_thirty_megabytes() -> None:
    assert is_intact()
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) <= LARGEST


def test_plain_diffusers_draws_with_it(cat: Image.Image) -> None:
    assert cat.size == (NATIVE, NATIVE)
    corners = pixels(cat)[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.min() > 220  # a thing on white
    assert pixels(cat).std() > 30


def test_words_styles_and_colors_change_the_picture(pipeline: Any, cat: Image.Image) -> None:
    others = [draw(pipeline, prompt) for prompt in ("cartoon of a cat", "flat illustration of a cat", "a castle")]
    every = [pixels(image) for image in (cat, *others)]
    assert all(np.abs(one - other).mean() > 8 for one, other in pairwise(every))
    blue, red = (pixels(draw(pipeline, f"a {color} car")).mean((0, 1)) for color in ("blue", "red"))
    assert blue[2] - blue[0] > 10
    assert red[0] - red[2] > 10


def test_a_picture_is_redrawn_more_the_greater_the_strength(cat: Image.Image) -> None:
    painter = AutoPipelineForImage2Image.from_pretrained(WEIGHTS)
    painter.set_progress_bar_config(disable=True)
    changes = [
        np.abs(pixels(draw(painter, "a blue cat", image=cat, strength=strength)) - pixels(cat)).mean()
        for strength in (0.2, 0.6, 1.0)
    ]
    assert changes == sorted(changes)


def test_diffusers_own_pipeline_paints_inside_the_mask_only(cat: Image.Image) -> None:
    painter = inpainting_pipeline(WEIGHTS)
    painter.set_progress_bar_config(disable=True)
    mask = Image.new("L", cat.size)
    mask.paste(255, (0, 0, NATIVE // 2, NATIVE))
    painted = draw(painter, "a blue cat", image=cat, mask_image=mask)
    change = np.abs(pixels(painted) - pixels(cat)).mean(-1)
    assert change[:, : NATIVE // 2].mean() > 10
    # The other half goes through the autoencoder, and the border's latents reach over it by one.
    assert change[:, NATIVE * 5 // 8 :].mean() < 6


def test_each_style_that_is_served_has_its_samples() -> None:
    assert {style.name: f"{style.prompt_prefix} {{}}" for style in STARTER_STYLES} == {
        name: phrase for name, (phrase, _) in SHOWN.items()
    }
    assert all(Image.open(SAMPLES / f"{style.name}.webp").width > 700 for style in STARTER_STYLES)
