"""Stable Diffusion 1.x and 2.x, and small models built like them."""

from typing import Any

import diffusers
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from generation.engine.families.family import Text
from generation.engine.loading import Model
from generation.engine.protocol import EngineError


class StableDiffusion:
    """One CLIP text encoder, one UNet that attends to its tokens, an autoencoder (of any kind diffusers has)."""

    PIPELINES: tuple[type, ...] = (diffusers.StableDiffusionPipeline, diffusers.StableDiffusionInpaintPipeline)

    def __init__(self, model: Model) -> None:
        self._pipeline = model.pipeline

    @classmethod
    def serves(cls, pipeline: Any) -> bool:
        # A distilled UNet takes guidance as an input instead; a subclass of the pipeline has other inputs.
        return (
            type(pipeline) in cls.PIPELINES
            and isinstance(pipeline.unet, diffusers.UNet2DConditionModel)
            and pipeline.unet.config.time_cond_proj_dim is None
            and _channels_beside(pipeline) in {0, pipeline.vae.config.latent_channels + 1}
        )

    @property
    def device(self) -> torch.device:
        device: torch.device = self._pipeline.unet.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self._pipeline.unet.dtype
        return dtype

    @property
    def scale(self) -> int:
        return int(self._pipeline.vae_scale_factor)

    @property
    def sees_mask(self) -> bool:
        return _channels_beside(self._pipeline) > 0

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        return 1, int(self._pipeline.vae.config.latent_channels), height // self.scale, width // self.scale

    def encode(self, text: str, clip_skip: int) -> Text:
        self._check_layers(clip_skip)
        if clip_skip > 1:
            return Text(self._read_less(text, clip_skip))
        hidden, _ = self._pipeline.encode_prompt(text, self.device, 1, do_classifier_free_guidance=False)
        return Text(hidden[0])

    def encode_negative(self, text: str) -> Text:
        return self.encode(text, 1)

    def encode_image(self, picture: Tensor, generator: torch.Generator) -> Tensor:
        vae = self._pipeline.vae
        encoded = vae.encode(picture.to(vae.dtype))
        # An autoencoder with a variance throws the dice, one without it has none to throw.
        latents = encoded.latent_dist.sample(generator) if hasattr(encoded, "latent_dist") else encoded.latents
        scaled: Tensor = latents.to(self.dtype) * vae.config.scaling_factor
        return scaled

    def skip_encoding(self, width: int, height: int, generator: torch.Generator) -> None:
        if isinstance(self._pipeline.vae, diffusers.AutoencoderKL):
            randn_tensor(self.latent_shape(width, height), generator=generator)

    def predict(self, latents: Tensor, timesteps: Tensor, texts: list[Text]) -> Tensor:
        hidden = torch.stack([text.hidden for text in texts])
        prediction: Tensor = self._pipeline.unet(latents, timesteps, encoder_hidden_states=hidden, return_dict=False)[0]
        return prediction

    def decode(self, latents: Tensor) -> Tensor:
        vae = self._pipeline.vae
        decoded: Tensor = vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0]
        return (decoded * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).float().cpu()

    def _check_layers(self, clip_skip: int) -> None:
        encoder = self._pipeline.text_encoder or self._pipeline.text_encoder_2
        layers = encoder.config.num_hidden_layers
        if clip_skip > layers:
            detail = f"The model's text encoder has {layers} layers."
            raise EngineError("clip_skip_too_large", detail, permanent=True)

    def _read_less(self, text: str, clip_skip: int) -> Tensor:
        """What `encode_prompt` means to do with `clip_skip`, and cannot with transformers 5, which moved the norm."""
        tokenizer, encoder = self._pipeline.tokenizer, self._pipeline.text_encoder
        ids = tokenizer(
            text, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
        ).input_ids
        layers = encoder(ids.to(self.device), output_hidden_states=True).hidden_states
        norm = getattr(encoder, "text_model", encoder).final_layer_norm
        hidden: Tensor = norm(layers[-clip_skip])[0]
        return hidden.to(self.dtype)


def _channels_beside(pipeline: Any) -> int:
    """Of the UNet's input, beyond the latents'."""
    return int(pipeline.unet.config.in_channels - pipeline.vae.config.latent_channels)
