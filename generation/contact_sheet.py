"""Several pictures on one sheet, for whoever decides on all of them at once."""

import io
import math
from collections.abc import Sequence
from typing import Final

from PIL import Image

EDGE: Final = 768  # pixels: the longer edge of each picture, at the most
GAP: Final = 12
GROUND: Final = (128, 128, 128)


def beside_each_other(files: Sequence[bytes]) -> bytes | None:
    """A WebP of all, in rows that make the sheet about square, first to last; the file itself where there is one, None
    where there is none."""
    if len(files) < 2:
        return files[0] if files else None
    pictures = [_small(file) for file in files]
    columns = math.ceil(math.sqrt(len(pictures)))
    width, height = (max(edges) + GAP for edges in zip(*(picture.size for picture in pictures), strict=True))
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * width - GAP, rows * height - GAP), GROUND)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        sheet.paste(picture, (column * width, row * height))
    file = io.BytesIO()
    sheet.save(file, "webp", quality=90)
    return file.getvalue()


def _small(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB")
    small.thumbnail((EDGE, EDGE))
    return small
