"""A picture that a customer sends is drawn anew within limits, and a file that attacks its decoder is refused."""

import base64
import io
import struct
import zlib
from contextlib import suppress
from typing import Any

import pytest
from django.test import override_settings
from PIL import Image, PngImagePlugin

from easel import uploads
from easel.uploads import BadUpload


def file(
    form: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB", color: Any = "red", **options: Any
) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, color).save(out, form, **options)
    return out.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A valid header over nearly nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def code_of(data: bytes) -> str:
    with pytest.raises(BadUpload) as caught:
        uploads.read(data)
    return caught.value.code


@pytest.mark.parametrize("form", uploads.KINDS)
def test_a_picture_becomes_a_png_of_the_same_pixels(form: str) -> None:
    upload = uploads.read(file(form))
    picture = Image.open(io.BytesIO(upload.png))
    assert (upload.width, upload.height, picture.size) == (40, 30, (40, 30))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    red, green, blue = picture.getpixel((5, 5))
    assert red > 245
    assert max(green, blue) < 10


def test_nothing_but_pixels_is_kept() -> None:
    note = PngImagePlugin.PngInfo()
    note.add_text("parameters", "a secret prompt")
    exif = Image.Exif()
    exif[0x010E] = "at home"
    for data in (
        file(pnginfo=note, exif=exif),
        file("JPEG", exif=exif, comment=b"a secret prompt"),
        file() + b"a secret prompt",
    ):
        upload = uploads.read(data)
        assert b"secret" not in upload.png
        assert b"at home" not in upload.png
        assert Image.open(io.BytesIO(upload.png)).info == {}


def test_a_picture_lying_on_its_side_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert uploads.read(file("JPEG", exif=exif)).width == 30


def test_transparency_is_laid_on_white_and_a_mask_is_gray() -> None:
    clear = file(mode="RGBA", color=(255, 0, 0, 0))
    assert Image.open(io.BytesIO(uploads.read(clear).png)).getpixel((0, 0)) == (255, 255, 255)
    mask = Image.open(io.BytesIO(uploads.read(file(color="white"), mask=True).png))
    assert (mask.mode, mask.getpixel((0, 0))) == ("L", 255)
    assert uploads.read(file(mode="P", color=3)).width == 40
    assert uploads.read(file(mode="I;16", color=3)).width == 40


def test_an_animation_ends_at_its_first_frame() -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert Image.open(io.BytesIO(uploads.read(out.getvalue()).png)).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("size", [(60_000, 60_000), (8193, 1), (2**31 - 1, 2**31 - 1), (8192, 8192)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    assert code_of(png_that_claims(*size)) == "too_many_pixels"


def test_a_bomb_in_a_text_chunk_is_refused() -> None:
    bomb = zlib.compress(b"x" * (80 << 20), 9)
    text = b"zTXt" + b"note\0\0" + bomb
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    whole = file()
    assert code_of(whole[:33] + chunk + whole[33:]) == "damaged_picture"


def test_too_many_bytes_are_refused_before_they_are_looked_at() -> None:
    with override_settings(UPLOAD_MAX_BYTES=100):
        assert code_of(b"x" * 101) == "too_many_bytes"
        with pytest.raises(BadUpload, match="100 bytes"):
            uploads.read_base64("A" * 200)


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "PPM", "ICO", "PDF"])
def test_other_kinds_of_files_are_not_tried(form: str) -> None:
    assert code_of(file(form)) == "not_a_picture"


@pytest.mark.parametrize(
    "data", [b"", b"x", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    assert code_of(data) in {"not_a_picture", "damaged_picture"}


@pytest.mark.parametrize("form", uploads.KINDS)
def test_a_damaged_file_is_an_error_of_the_customers_however_it_is_damaged(form: str) -> None:
    whole = file(form, size=(64, 64))
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        for damaged in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
            with suppress(BadUpload):  # any other exception fails here
                uploads.read(damaged)


def test_base64_is_read_with_and_without_the_words_of_a_data_url() -> None:
    text = base64.b64encode(file()).decode()
    assert uploads.read_base64(text) == uploads.read_base64(f"data:image/png;base64,{text}")
    for broken in ("!", text[:-1] + "!", "é", "data:text/html;base64," + text):
        with pytest.raises(BadUpload, match="base64"):
            uploads.read_base64(broken)
