"""A picture that a customer sends is drawn anew within limits, and a file that attacks its decoder is refused."""

import base64
import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Any

import pytest
from django.test import override_settings
from PIL import Image, ImageOps, PngImagePlugin

from easel import uploads
from easel.problems import Problem
from easel.uploads import BadUpload, Upload
from tests.cast import Customer


def file(
    form: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB", color: Any = "red", **options: Any
) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, color).save(out, form, **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_that_claims(width: int, height: int) -> bytes:
    """A valid header over nearly nothing."""
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


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_undone_as_pillow_would(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.linear_gradient("L").rotate(30).resize((40, 30)).save(out, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(out.getvalue()))).convert("RGB")
    assert pixels(uploads.read(out.getvalue())) == (upright.size, upright.tobytes())


def pixels(upload: Upload) -> tuple[tuple[int, int], bytes]:
    picture = Image.open(io.BytesIO(upload.png))
    return picture.size, picture.tobytes()


@pytest.mark.parametrize("exif", [b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM", b"II*\0\x08\0\0\0\xff\xff"], ids=repr)
def test_a_picture_whose_orientation_cannot_be_read_is_taken_as_it_lies(exif: bytes) -> None:
    whole = file()
    assert pixels(uploads.read(whole[:33] + chunk(b"eXIf", exif) + whole[33:])) == pixels(uploads.read(whole))


@pytest.mark.parametrize(
    ("tag", "kind"), [(0x010E, 11), (0x0111, 2), (0x011A, 2), (0x0132, 10), (0x9286, 16)], ids=lambda each: f"{each:x}"
)
def test_a_tag_that_nobody_could_write_again_spoils_no_photo(tag: int, kind: int) -> None:
    entries = sorted([(0x0112, 3, 1, b"\6\0\0\0"), (tag, kind, 1, b"\1\0\0\0")])
    directory = b"".join(struct.pack("<HHI", *head) + value for *head, value in entries)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    photo = file("JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    assert uploads.read(photo[:2] + segment + photo[2:]).width == 30, "turned, too"


def test_gray_of_sixteen_bits_keeps_its_shades() -> None:
    fine = Image.new("I;16", (5, 1))
    for place, shade in enumerate((0, 255, 257 * 3, 2**15, 2**16 - 1)):
        fine.putpixel((place, 0), shade)
    out, with_a_hole = io.BytesIO(), io.BytesIO()
    fine.save(out, "PNG")
    fine.save(with_a_hole, "PNG", transparency=257 * 3)
    for data, third in ((out.getvalue(), 3), (with_a_hole.getvalue(), 255)):
        gray = [0, 1, third, 128, 255]
        assert pixels(uploads.read(data))[1] == bytes(shade for shade in gray for _ in range(3))
    assert list(pixels(uploads.read(out.getvalue(), mask=True))[1]) == [0, 1, 3, 128, 255]


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


LARGE = file(size=(2048, 1025))


def test_large_pictures_are_decoded_one_at_a_time_and_small_ones_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", 0.05)
    begun, go_on = Event(), Event()

    def slow(picture: Image.Image) -> tuple[int, int]:
        begun.set()
        assert go_on.wait(20)
        return picture.size

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(uploads.decode, LARGE, slow)
        assert begun.wait(20)
        with pytest.raises(Problem, match="large") as refused:
            uploads.read(LARGE)
        assert (refused.value.code, refused.value.headers["Retry-After"]) == ("overloaded", "2")
        assert uploads.read(file()).width == 40
        go_on.set()
        assert first.result(20) == (2048, 1025)
    assert uploads.read(LARGE).width == 2048


def test_what_breaks_while_it_is_decoded_gives_its_turn_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", 0.05)

    def breaks(picture: Image.Image) -> None:
        raise ValueError

    assert code_of(LARGE[:-200]) == "damaged_picture"
    with pytest.raises(BadUpload, match="damaged"):
        uploads.decode(LARGE, breaks)
    assert uploads.read(LARGE).width == 2048


@pytest.mark.parametrize(
    ("path", "field"), [("/v1/inputs", ""), ("/v1/moderations", "image"), ("/v1/quotes", "init_image")]
)
def test_a_call_with_a_large_picture_is_asked_to_come_again(
    ada: Customer, monkeypatch: pytest.MonkeyPatch, path: str, field: str
) -> None:
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", 0.05)
    with uploads.decoding(4096, 4096):
        if field:
            answer = ada.client().post(path, {field: base64.b64encode(LARGE).decode()}, format="json")
        else:
            answer = ada.client().generic("POST", path, LARGE, content_type="image/png")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "overloaded", "2")
