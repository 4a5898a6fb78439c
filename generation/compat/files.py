"""Pictures inside of JSON."""

import base64

from generation import media
from generation.models import Image


def encoded(image: Image) -> str:
    """The image's file as base64. Raises storage errors."""
    return base64.b64encode(media.fetch(image)).decode()
