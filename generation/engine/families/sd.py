"""Stable Diffusion 1.x and 2.x, and small models built like them."""

from typing import Any

import diffusers
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from generation.engine.families.family import Text
from generation.engine.loading import Model


class StableDiffusion:
    """One CLIP text encoder, one UNet that attends to its tokens, an autoencoder (of any kind diffusers has)."""

    def __init__(self, model: Model) -> None:
        self._pipeline = model.pipeline

    @classmethod
    def serves(cls, pipeline: Any) -> bool:
        # A distilled UNet takes guidance as an input instead; a subclass of the pipeline has other inputs.
        return (
            type(pipeline) is diffusers.StableDiffusionPipeline
            and isinstance(pipeline.unet, diffusers.UNet2DConditionModel)
            and pipeline.unet.config.time_cond_proj_dim is None
        )

    def encode(self, text: str) -> Text:
        device = self._pipeline.unet.device
        hidden, _ = self._pipeline.encode_prompt(text, device, 1, do_classifier_free_guidance=False)
        return Text(hidden[0])

    def noise(self, width: int, height: int, generator: torch.Generator) -> Tensor:
        unet, factor = self._pipeline.unet, self._pipeline.vae_scale_factor
        shape = (1, unet.config.in_channels, height // factor, width // factor)
        noise: Tensor = randn_tensor(shape, generator=generator, device=unet.device, dtype=unet.dtype)
        return noise

    def predict(self, latents: Tensor, timesteps: Tensor, texts: list[Text]) -> Tensor:
        hidden = torch.stack([text.hidden for text in texts])
        prediction: Tensor = self._pipeline.unet(latents, timesteps, encoder_hidden_states=hidden, return_dict=False)[0]
        return prediction

    def decode(self, latents: Tensor) -> Tensor:
        vae = self._pipeline.vae
        decoded: Tensor = vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0]
        return (decoded * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).float().cpu()
