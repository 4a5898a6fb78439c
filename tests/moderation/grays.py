"""A scorer of the screening process for tests: dark pictures are bad. `EASEL_SCREENING_IMAGE_SCORER` names it."""

from collections.abc import Sequence

from PIL import Image, ImageStat

BLOCKED, HELD = 16, 32  # mean grays below which a picture is blocked, held


class Grays:
    name = "grays"

    def score(self, images: Sequence[Image.Image]) -> list[dict[str, float]]:
        means = [ImageStat.Stat(image.convert("L")).mean[0] for image in images]
        return [{"sexual": 0.99 if mean < BLOCKED else 0.7 if mean < HELD else 0.01} for mean in means]
