"""A picture of which nothing is left but some colored spots: for moderators, and for customers whose image waits for
them."""

import io
from typing import Final

from PIL import Image, ImageFilter

SPOTS: Final = 10  # along the longer edge: enough to tell two pictures apart, and too little to show anything
EDGE: Final = 160  # pixels


def blurred(data: bytes) -> bytes:
    """A JPEG file of EDGE pixels that keeps SPOTS x SPOTS colors at most: what is thrown away cannot be sharpened."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.draft("RGB", (EDGE, EDGE))  # a JPEG is not decoded in full for this
        small = picture.convert("RGB")
    longer = max(small.size)
    width, height = (max(1, round(edge * SPOTS / longer)) for edge in small.size)
    spots = small.resize((width, height), Image.Resampling.BOX)
    size = (max(1, round(small.width * EDGE / longer)), max(1, round(small.height * EDGE / longer)))
    soft = spots.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(EDGE / SPOTS))
    file = io.BytesIO()
    soft.save(file, "jpeg", quality=70)
    return file.getvalue()


def content_type(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        return Image.MIME[str(image.format)]
