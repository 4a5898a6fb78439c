"""Inpainting with a model of any number of latent channels.

diffusers' own inpainting pipeline refuses a UNet whose input has neither 4 nor 9 channels. Blended latent
diffusion needs no special UNet: after every step, what the mask keeps is put back from the original at that
step's noise.
"""

from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image


def inpaint(
    pipeline: StableDiffusionPipeline,
    prompt: str,
    image: Image.Image,
    mask: Image.Image,
    *,
    seed: int,
    **options: Any,
) -> Image.Image:
    """Draw `prompt` where `mask` is white; `options` go to the image-to-image pipeline."""
    painter = StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
    painter.set_progress_bar_config(disable=True)
    keep = keep_latents(mask.resize(image.size), pipeline.vae_scale_factor)
    original = encode(pipeline, image)
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(seed + 1))

    def put_back(self: Any, _: int, timestep: torch.Tensor, values: dict[str, Any]) -> dict[str, Any]:
        times = self.scheduler.timesteps
        index = int((times == timestep).nonzero()[-1]) + 1
        last = index >= len(times)
        known = original if last else self.scheduler.add_noise(original, noise, times[index : index + 1])
        values["latents"] = torch.where(keep, known, values["latents"])
        return values

    drawn = painter(
        prompt,
        image=image,
        generator=torch.Generator().manual_seed(seed),
        callback_on_step_end=put_back,
        **options,
    ).images[0]
    return Image.composite(drawn, image, mask.resize(image.size).convert("L"))


def keep_latents(mask: Image.Image, factor: int) -> torch.Tensor:
    """[1, 1, h, w], true where nothing is to be drawn."""
    small = mask.convert("L").resize((mask.width // factor, mask.height // factor), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small) < 128)[None, None]


@torch.no_grad()
def encode(pipeline: StableDiffusionPipeline, image: Image.Image) -> torch.Tensor:
    pixels = pipeline.image_processor.preprocess(image)
    latents: torch.Tensor = pipeline.vae.encode(pixels).latents * pipeline.vae.config.scaling_factor
    return latents
