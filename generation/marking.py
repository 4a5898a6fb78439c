"""The visible mark on pictures of tenants that ask for it, as labeling rules want it: legible, in a corner, in Chinese
and in English. The mark in the file's metadata (`pictures`) is always there.

`marks/ai-generated.png` is white text on a shaded ground, set in Noto Sans CJK; a font is not needed to draw it.
"""

from functools import cache
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np
from PIL import Image

from easel.database import platform_role
from generation.engine.protocol import Pixels
from moderation import policy

LABEL: Final = Path(__file__).parent / "marks" / "ai-generated.png"
HEIGHT: Final = 0.07  # of the shorter edge, the ground included: the letters are 5 percent of it
WIDEST: Final = 0.9  # of the picture's width
MARGIN: Final = 0.015  # of the shorter edge


def wanted(tenant_id: UUID, key_id: UUID | None) -> bool:
    with platform_role():
        return policy.effective(tenant_id, key_id).visible_mark


def marked(pixels: Pixels) -> Pixels:
    """A copy with the mark in its lower right corner. `pixels` is RGB of shape (height, width, 3)."""
    picture = Image.fromarray(pixels)
    shorter = min(picture.size)
    label = _label()
    scale = min(HEIGHT * shorter / label.height, WIDEST * picture.width / label.width)
    small = label.resize((max(1, round(label.width * scale)), max(1, round(label.height * scale))))
    margin = round(MARGIN * shorter)
    place = (picture.width - small.width - margin, picture.height - small.height - margin)
    picture.paste(small.convert("RGB"), place, small.getchannel("A"))
    return np.asarray(picture, dtype=np.uint8)


@cache
def _label() -> Image.Image:
    with Image.open(LABEL) as label:
        return label.convert("LA")
