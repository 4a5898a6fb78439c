"""Scorers of the screening process for tests. `EASEL_SCREENING_IMAGE_SCORER` names one.

The suite's tiny models draw noise, of which the real model says one thing or another by the seed: where a test is not
about that model, nothing is found in any picture.
"""

from collections.abc import Sequence

from PIL import Image, ImageStat

BLOCKED, HELD = 16, 32  # mean grays below which a picture is blocked, held


class Grays:
    """Dark pictures are bad."""

    name = "grays"

    def score(self, images: Sequence[Image.Image]) -> list[dict[str, float]]:
        means = [ImageStat.Stat(image.convert("L")).mean[0] for image in images]
        return [{"sexual": 0.99 if mean < BLOCKED else 0.7 if mean < HELD else 0.01} for mean in means]


class Harmless:
    name = "harmless"

    def score(self, images: Sequence[Image.Image]) -> list[dict[str, float]]:
        return [{"sexual": 0.01} for _ in images]
