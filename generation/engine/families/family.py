"""What the loop asks of a kind of model. b is images in a call, c h w the shape of their latents."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from generation.engine.loading import Model


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt as the model reads it."""

    hidden: Tensor  # (tokens, width), one vector a token
    pooled: Tensor | None = None  # (width,), the whole text in one vector, where the model wants that too


class Family(Protocol):
    """Made anew for every use of a model, so it keeps nothing. All calls come from the engine's thread."""

    def __init__(self, model: Model) -> None: ...

    @classmethod
    def serves(cls, pipeline: Any) -> bool:
        """Whether the pipeline is of this kind in all that the calls below rely on."""

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype:
        """Of the latents."""

    @property
    def scale(self) -> int:
        """Pixels of an edge to a latent."""

    @property
    def sees_mask(self) -> bool:
        """The model was trained to draw into pictures: each call wants mask and masked picture beside the latents."""

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(1, c, h, w) for a picture of this size in pixels."""

    def encode(self, text: str, clip_skip: int) -> Text:
        """Words beyond the model's limit are cut off. Raises EngineError where there is no such layer."""

    def encode_negative(self, text: str) -> Text:
        """The same for what is to be kept out, of which no layers are skipped. It may be empty."""

    def encode_image(self, picture: Tensor, generator: torch.Generator) -> Tensor:
        """A picture (1, 3, height, width) from -1 to 1 → its latents (1, c, h, w), as the model was trained with."""

    def skip_encoding(self, width: int, height: int, generator: torch.Generator) -> None:
        """Throw the dice as if a picture of this size had been encoded."""

    def predict(self, latents: Tensor, timesteps: Tensor, texts: list[Text]) -> Tensor:
        """One call of the model: latents (b, c, h, w), with mask and masked picture (b, 2c + 1, h, w) where the model
        wants to see them, each at its own timestep (b,) with its own text → what the checkpoint was trained to predict
        (noise or velocity), (b, c, h, w)."""

    def decode(self, latents: Tensor) -> Tensor:
        """Clean latents (b, c, h, w) → float32 pictures (b, height, width, 3) from 0 to 1, in main memory."""
