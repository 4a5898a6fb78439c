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

    def encode(self, text: str) -> Text:
        """Words beyond the model's limit are cut off."""

    def noise(self, width: int, height: int, generator: torch.Generator) -> Tensor:
        """Latents (1, c, h, w) of variance 1 for a picture of this size in pixels."""

    def predict(self, latents: Tensor, timesteps: Tensor, texts: list[Text]) -> Tensor:
        """One call of the model: latents (b, c, h, w), each at its own timestep (b,) with its own text → what the
        checkpoint was trained to predict (noise or velocity), (b, c, h, w)."""

    def decode(self, latents: Tensor) -> Tensor:
        """Clean latents (b, c, h, w) → float32 pictures (b, height, width, 3) from 0 to 1, in main memory."""
