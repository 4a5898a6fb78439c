"""Stable Diffusion XL."""

from typing import Any

import diffusers
import torch
from torch import Tensor

from generation.engine.families.family import Text
from generation.engine.families.sd import StableDiffusion


class StableDiffusionXL(StableDiffusion):
    """Two text encoders, the second of which also says the whole text in one vector; and the UNet is told the size."""

    PIPELINES = (diffusers.StableDiffusionXLPipeline, diffusers.StableDiffusionXLInpaintPipeline)

    @classmethod
    def serves(cls, pipeline: Any) -> bool:
        if not super().serves(pipeline):
            return False
        return (
            pipeline.unet.config.addition_embed_type == "text_time"
            and getattr(pipeline.vae.config, "latents_mean", None) is None  # other models in SDXL's clothes
            and pipeline.watermark is None
        )

    def encode(self, text: str, clip_skip: int) -> Text:
        self._check_layers(clip_skip)
        hidden, _, pooled, _ = self._pipeline.encode_prompt(
            text, device=self.device, do_classifier_free_guidance=False, clip_skip=clip_skip - 1 or None
        )
        return Text(hidden[0], pooled[0])

    def encode_negative(self, text: str) -> Text:
        """Where there is none, XL was trained with zeros instead of the words' empty rest."""
        read = super().encode_negative(text)
        if text or read.pooled is None or not self._pipeline.config.force_zeros_for_empty_prompt:
            return read
        return Text(torch.zeros_like(read.hidden), torch.zeros_like(read.pooled))

    def predict(self, latents: Tensor, timesteps: Tensor, texts: list[Text]) -> Tensor:
        hidden = torch.stack([text.hidden for text in texts])
        pooled = torch.stack([text.pooled for text in texts if text.pooled is not None])
        told = {"text_embeds": pooled, "time_ids": self._sizes(latents)}
        prediction: Tensor = self._pipeline.unet(
            latents, timesteps, encoder_hidden_states=hidden, added_cond_kwargs=told, return_dict=False
        )[0]
        return prediction

    def encode_image(self, picture: Tensor, generator: torch.Generator) -> Tensor:
        self._widen_autoencoder()
        return super().encode_image(picture, generator)

    def decode(self, latents: Tensor) -> Tensor:
        self._widen_autoencoder()
        return super().decode(latents.to(self._pipeline.vae.dtype))

    def _widen_autoencoder(self) -> None:
        vae = self._pipeline.vae
        if vae.dtype == torch.float16 and vae.config.force_upcast:
            vae.to(dtype=torch.float32)  # for good: in half precision this one overflows

    def _sizes(self, latents: Tensor) -> Tensor:
        """(b, 6): height and width of the original, where it was cut (nowhere), and of the picture, in pixels."""
        factor = self._pipeline.vae_scale_factor
        height, width = latents.shape[-2] * factor, latents.shape[-1] * factor
        sizes = torch.tensor([height, width, 0, 0, height, width], device=latents.device, dtype=latents.dtype)
        return sizes.repeat(len(latents), 1)
