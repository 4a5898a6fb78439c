"""Pictures made in code."""

import io

from PIL import Image


def png(*, seed: int = 0, size: int = 64) -> bytes:
    """A harmless gradient, another one for each seed."""
    base = Image.linear_gradient("L").resize((size, size)).rotate(seed * 37 % 360)
    image = Image.merge("RGB", (base, base.rotate(90), base.point(lambda value: (value * (seed + 3)) % 256)))
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()
