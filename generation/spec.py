"""What a customer asked for, validated once at the edge and frozen."""

import json
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

from billing import pricing
from generation import samplers

Format = Literal["png", "webp", "jpeg"]
FORMATS: Final[tuple[Format, ...]] = ("png", "webp", "jpeg")

LONGEST_PROMPT: Final = 4_000
LARGEST_SEED: Final = 2**63 - 101  # seed + i of every image fits a signed 64-bit integer
MOST_IMAGES: Final = 8
MOST_STEPS: Final = 150
USUAL_STRENGTH: Final = 0.75
MOST_CLIP_SKIP: Final = 12  # CLIP ViT-L has so many layers


@dataclass(frozen=True, slots=True, kw_only=True)
class InputReference:
    """A picture that a customer gave us, kept by `generation.inputs`. Equal pictures have equal digests."""

    id: UUID
    sha256: str  # hex, of the file as it is kept
    width: int
    height: int
    reading: dict[str, Any] | None = field(default=None, compare=False)  # scores, phash, scorer; None: nobody could say


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
    init_image: InputReference | None = None
    mask: InputReference | None = None  # white is drawn anew, black is kept
    strength: float | None = None  # how much of the way from noise is gone; None: all of it, from nothing but noise
    clip_skip: int = 1  # as AUTOMATIC1111 counts: 1 reads the text encoder's last layer, 2 the one before
    quality_target: float | None = None  # from 0 to 1: an image that is this good may be finished early,
    min_steps: int | None = None  # but not before so many steps
    metadata: dict[str, str] = field(default_factory=dict)
    webhook_url: str = ""

    @property
    def planned_steps(self) -> int:
        """The steps that are run at most."""
        return planned_steps(self.steps, self.strength)

    def work(self, *, factor: float, native_size: int | None) -> float:
        """Model calls x megapixels x the model's factor, of all images together. A model with a native size draws
        that square, whatever size is delivered."""
        width, height = (native_size, native_size) if native_size else (self.width, self.height)
        calls = samplers.find(self.sampler).calls(self.steps, skipped=self.steps - self.planned_steps)
        return self.n * pricing.image_work(calls=calls, width=width, height=height, factor=factor)

    def price(self, *, factor: float, native_size: int | None) -> int:
        """Credits for all images."""
        return self.n * pricing.image_credits(self.work(factor=factor, native_size=native_size) / self.n)

    def decides_pixels(self) -> dict[str, Any]:
        """Everything in this request that two equal files have equal, in values JSON knows. The seed is in it; so are
        given pictures, by their digest. What is left out (metadata) changes no picture."""
        return {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "steps": self.steps,
            "width": self.width,
            "height": self.height,
            "cfg_scale": self.cfg_scale,
            "sampler": self.sampler,
            "seed": self.seed,
            "n": self.n,
            "format": self.format,
            "init_image": self.init_image.sha256 if self.init_image else None,
            "mask": self.mask.sha256 if self.mask else None,
            "strength": self.strength,
            "clip_skip": self.clip_skip,
            "quality_target": self.quality_target,
            "min_steps": self.min_steps,
        }

    def fingerprint(self, *, model: str) -> bytes:
        """The same for requests that draw the same. `model` names the model's files (id and digest or revision). To be
        keyed before it is stored: it is made of the prompt."""
        return json.dumps([model, self.decides_pixels()], sort_keys=True, separators=(",", ":")).encode()


def planned_steps(steps: int, strength: float | None) -> int:
    """How many of `steps` are run from a given picture: as diffusers rounds it. 0 is less than a step."""
    return steps if strength is None else min(int(steps * strength), steps)
