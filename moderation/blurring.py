"""A picture of which nothing is left but its colors."""

import io
from typing import Final

from PIL import Image, ImageFilter

THUMBNAIL: Final = 24  # pixels: enough to tell a landscape from a portrait, no more
ENLARGED: Final = 8


def blurred(data: bytes) -> bytes:
    """A small JPEG of it."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (THUMBNAIL * 4, THUMBNAIL * 4))  # a JPEG is not decoded in full for this
        small = image.convert("RGB")
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        size = (small.width * ENLARGED, small.height * ENLARGED)
        scaled = small.resize(size).filter(ImageFilter.GaussianBlur(6))
    file = io.BytesIO()
    scaled.save(file, "jpeg", quality=60)
    return file.getvalue()


def content_type(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        return Image.MIME[str(image.format)]
