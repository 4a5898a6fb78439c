"""How one kind of model encodes words, predicts noise and decodes pictures. Adding a family is one file and a line."""

from generation.engine.families.family import Family, Text
from generation.engine.families.sd import StableDiffusion
from generation.engine.families.sdxl import StableDiffusionXL
from generation.engine.loading import Model

FAMILIES: tuple[type[Family], ...] = (StableDiffusion, StableDiffusionXL)


def family_of(model: Model) -> Family | None:
    """The family that draws this model step by step; None for a pipeline that can only be called as a whole."""
    return next((family(model) for family in FAMILIES if family.serves(model.pipeline)), None)


__all__ = ["FAMILIES", "Family", "StableDiffusion", "StableDiffusionXL", "Text", "family_of"]
