"""Pictures that a customer sends: decoded under limits, and drawn anew, so that nothing but pixels is kept.

What a file claims is believed of nothing: size and kind are read from its first bytes before any pixel is decoded, only
the decoders listed here are tried, animation ends at its first frame, and metadata (place, camera, names) is dropped
after the picture was turned upright.
"""

import base64
import binascii
import io
import warnings
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from PIL import Image, ImageOps, UnidentifiedImageError

KINDS: Final = ("PNG", "JPEG", "WEBP")  # each decodes within memory that its size bounds
LONGEST_SIDE: Final = 8192
_DATA_URL: Final = "data:image/"

# A file that is damaged, or was made to break its decoder, ends in any of these.
UNDECODABLE: Final = (
    UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, TypeError, IndexError,
    OverflowError, EOFError,
)  # fmt: skip


class BadUpload(Exception):
    """Not a picture we take. `code` is for programs, the text names the rule."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture drawn anew: a PNG file of mode RGB, or L for a mask, without metadata."""

    png: bytes
    width: int
    height: int


def read_base64(text: str, *, mask: bool = False) -> Upload:
    """A picture as JSON carries it: base64, or a `data:image/…;base64,` URL. Raises BadUpload."""
    if text.startswith(_DATA_URL):
        text = text.partition(",")[2]
    if len(text) > settings.UPLOAD_MAX_BYTES * 4 // 3 + 4:
        raise _too_many_bytes()
    try:
        return read(base64.b64decode(text, validate=True), mask=mask)
    except (binascii.Error, ValueError) as error:
        raise BadUpload("not_base64", "Send the picture's file as base64.") from error


def read(data: bytes, *, mask: bool = False) -> Upload:
    """The picture in a PNG, JPEG or WebP file. Transparency is laid on white. Raises BadUpload."""
    picture = decode(data)
    if mask:
        picture = picture.convert("L")
    elif picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.new("RGB", layer.size, "white")
        picture.paste(layer, mask=layer.getchannel("A"))
    else:
        picture = picture.convert("RGB")
    picture.info.clear()
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return Upload(file.getvalue(), *picture.size)


def decode(data: bytes) -> Image.Image:
    """The first frame, upright, within the limits of bytes, sides and pixels. Raises BadUpload."""
    if len(data) > settings.UPLOAD_MAX_BYTES:
        raise _too_many_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower and certain
            picture = Image.open(io.BytesIO(data), formats=KINDS)
            _check_size(*picture.size)  # from the header: nothing is decoded yet
            picture.load()
            upright = ImageOps.exif_transpose(picture)
    except BadUpload:
        raise
    except UnidentifiedImageError as error:
        raise BadUpload("not_a_picture", "Send a PNG, JPEG or WebP file.") from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels() from error
    except (*UNDECODABLE, MemoryError) as error:  # the latter from a size that the header hid
        raise BadUpload("damaged_picture", "The picture's file is damaged or incomplete.") from error
    return upright


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise BadUpload("damaged_picture", "The picture has no pixels.")
    if max(width, height) > LONGEST_SIDE or width * height > settings.UPLOAD_MAX_PIXELS:
        raise _too_many_pixels()


def _too_many_bytes() -> BadUpload:
    return BadUpload("too_many_bytes", f"A picture's file has at most {settings.UPLOAD_MAX_BYTES} bytes.")


def _too_many_pixels() -> BadUpload:
    return BadUpload(
        "too_many_pixels",
        f"A picture has at most {settings.UPLOAD_MAX_PIXELS} pixels, and {LONGEST_SIDE} on a side.",
    )
