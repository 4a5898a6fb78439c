"""What a customer asked for, validated once at the edge and frozen."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Format = Literal["png", "webp", "jpeg"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSpec:
    """One request of `n` images. Pixels for sizes; `seed` is the first image's, image i takes `seed + i`."""

    prompt: str
    negative_prompt: str = ""
    steps: int = 20
    width: int = 512
    height: int = 512
    cfg_scale: float = 7.0
    sampler: str = "DPM++ 2M"
    seed: int
    n: int = 1
    model: str
    format: Format = "png"
    metadata: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
