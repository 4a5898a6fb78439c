"""What a customer asked for, validated once at the edge and frozen."""

from dataclasses import dataclass, field
from typing import Final, Literal

from billing import pricing
from generation import samplers

Format = Literal["png", "webp", "jpeg"]
FORMATS: Final[tuple[Format, ...]] = ("png", "webp", "jpeg")

LONGEST_PROMPT: Final = 4_000
LARGEST_SEED: Final = 2**63 - 101  # seed + i of every image fits a signed 64-bit integer
MOST_IMAGES: Final = 8
MOST_STEPS: Final = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSpec:
    """One request of `n` images for one model. Sizes in pixels; image i takes `seed + i`."""

    prompt: str
    negative_prompt: str
    steps: int
    width: int
    height: int
    cfg_scale: float
    sampler: str
    seed: int
    n: int
    format: Format
    metadata: dict[str, str] = field(default_factory=dict)

    def work(self, *, factor: float, native_size: int | None) -> float:
        """Model calls x megapixels x the model's factor, of all images together. A model with a native size draws
        that square, whatever size is delivered."""
        width, height = (native_size, native_size) if native_size else (self.width, self.height)
        calls = samplers.find(self.sampler).calls(self.steps)
        return self.n * pricing.image_work(calls=calls, width=width, height=height, factor=factor)

    def price(self, *, factor: float, native_size: int | None) -> int:
        """Credits for all images."""
        return self.n * pricing.image_credits(self.work(factor=factor, native_size=native_size) / self.n)
