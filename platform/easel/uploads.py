"""Pictures that a customer sends: decoded under limits, and drawn anew, so that nothing but pixels is kept.

What a file claims is believed of nothing: size and kind are read from its first bytes before any pixel is decoded, only
the decoders listed here are tried, animation ends at its first frame, and metadata (place, camera, names) is dropped
after the picture was turned upright.

Every copy of a decoded picture takes up to four bytes a pixel: one of 16 megapixels takes 65 to 190 MiB at its peak,
and 260 MiB as a WebP file (measured). Large pictures are therefore decoded one at a time in a process, and no copy is
kept longer than it is of use.
"""

import base64
import binascii
import io
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Semaphore
from typing import Final, TypeVar

import structlog
from django.conf import settings
from PIL import ExifTags, Image, UnidentifiedImageError

from easel.problems import Problem

KINDS: Final = ("PNG", "JPEG", "WEBP")  # each decodes within memory that its size bounds
LONGEST_SIDE: Final = 8192
LARGE_PIXELS: Final = 2 * 1024 * 1024  # from here on pictures take turns
PATIENCE_SECONDS: Final = 3.0  # a thread of the web's waits no longer for its turn
_DATA_URL: Final = "data:image/"

# A file that is damaged, or was made to break its decoder, ends in any of these.
UNDECODABLE: Final = (
    UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, TypeError, IndexError,
    OverflowError, EOFError, struct.error,
)  # fmt: skip

# What undoes each orientation of EXIF 2.32, table 6.
_TURNS: Final[Mapping[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_SHADES: Final = 2**16
_EIGHT_BITS: Final = [round(shade / 257) for shade in range(_SHADES)]  # 65535 becomes 255

Made = TypeVar("Made")
log = structlog.get_logger(__name__)
_large = Semaphore(1)


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
    """A picture as JSON carries it: base64, or a `data:image/…;base64,` URL. Raises as `read` does."""
    if text.startswith(_DATA_URL):
        text = text.partition(",")[2]
    if len(text) > settings.UPLOAD_MAX_BYTES * 4 // 3 + 4:
        raise _too_many_bytes()
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadUpload("not_base64", "Send the picture's file as base64.") from error
    return read(data, mask=mask)


def read(data: bytes, *, mask: bool = False) -> Upload:
    """The picture in a PNG, JPEG or WebP file, transparency laid on white. Raises BadUpload and Problem overloaded."""
    return decode(data, partial(_redrawn, mask=mask))


def decode(data: bytes, made: Callable[[Image.Image], Made]) -> Made:
    """What `made` makes of the first frame, upright and of 8 bits a channel, within the limits of bytes, sides and
    pixels. Raises BadUpload, for whatever breaks in `made`, too, and Problem overloaded."""
    if len(data) > settings.UPLOAD_MAX_BYTES:
        raise _too_many_bytes()
    try:
        with decoding(*_size(data)):
            return made(_of_eight_bits(_upright(_opened(data))))
    except UnidentifiedImageError as error:
        raise BadUpload("not_a_picture", "Send a PNG, JPEG or WebP file.") from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels() from error
    except (*UNDECODABLE, MemoryError) as error:  # the latter from a size that the header hid
        raise BadUpload("damaged_picture", "The picture's file is damaged or incomplete.") from error


@contextmanager
def decoding(width: int, height: int) -> Iterator[None]:
    """Around whatever decodes a picture of so many pixels: large ones come one after the other. Raises Problem
    overloaded where others are not through in time. Not to be nested."""
    if width * height <= LARGE_PIXELS:
        yield
        return
    if not _large.acquire(timeout=PATIENCE_SECONDS):
        raise Problem("overloaded", "Other large pictures are being read. Try again.", headers={"Retry-After": "2"})
    try:
        yield
    finally:
        _large.release()


def _opened(data: bytes) -> Image.Image:
    """Its header is read, and no pixel is decoded yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower and certain
        return Image.open(io.BytesIO(data), formats=KINDS)


def _size(data: bytes) -> tuple[int, int]:
    size = _opened(data).size
    _check_size(*size)
    return size


def _upright(picture: Image.Image) -> Image.Image:
    """Of its metadata the orientation alone is read. Where that cannot be, the picture is taken as it lies."""
    picture.load()
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception as error:  # noqa: BLE001  metadata can be broken in more ways than its reader has names for
        log.info("uploads.unreadable_orientation", error=type(error).__name__)
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _of_eight_bits(picture: Image.Image) -> Image.Image:
    """Gray of 16 bits is scaled: a conversion alone would make white of all that is lighter than 255 of 65535."""
    if not picture.mode.startswith("I"):
        return picture
    fine = picture.convert("I")
    gray, clear = fine.point(_EIGHT_BITS, "L"), picture.info.get("transparency")
    gray.info.clear()
    if clear is not None:  # one shade of them all, which PNG can name
        gray.putalpha(fine.point([0 if shade == clear else 255 for shade in range(_SHADES)], "L"))
    return gray


def _redrawn(picture: Image.Image, *, mask: bool) -> Upload:
    if mask:
        picture = picture.convert("L")
    elif picture.has_transparency_data:
        picture = _on_white(picture if picture.mode == "RGBA" else picture.convert("RGBA"))
    elif picture.mode != "RGB":
        picture = picture.convert("RGB")
    picture.info.clear()
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return Upload(file.getvalue(), *picture.size)


def _on_white(layer: Image.Image) -> Image.Image:
    picture = Image.new("RGB", layer.size, "white")
    picture.paste(layer, mask=layer)
    return picture


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
