"""A picture's file says how it was made, and that a machine made it, in the words other programs read."""

import hashlib
import io
import re
from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from easel import __version__
from generation.pictures import AI_GENERATED, describe, encode, read_parameters
from generation.spec import Format

FORMATS = get_args(Format)
MADE: dict[str, Any] = {
    "prompt": "a red apple, 3d render",
    "negative_prompt": "blue",
    "steps": 20,
    "sampler": "DPM++ 2M Karras",
    "cfg_scale": 7.0,
    "seed": 42,
    "width": 96,
    "height": 64,
    "model": "starter",
    "model_digest": "0123456789abcdef",
}


@pytest.fixture
def pixels() -> np.ndarray[Any, np.dtype[np.uint8]]:
    ramp = np.linspace(0, 255, 96, dtype=np.uint8)
    return np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (64, 96, 3)))


def test_the_text_is_the_web_uis() -> None:
    assert describe(**MADE) == (
        "a red apple, 3d render\n"
        "Negative prompt: blue\n"
        "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 42, Size: 96x64, "
        f"Model hash: 0123456789, Model: starter, Version: Easel {__version__}"
    )


def test_the_web_uis_own_pattern_reads_the_settings_back() -> None:
    text = describe(**{**MADE, "model": 'one, "two": three', "cfg_scale": 6.5})
    pattern = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')  # re_param of A1111
    settings = dict(pattern.findall(text.splitlines()[-1]))
    assert settings["Sampler"] == "DPM++ 2M Karras"
    assert (settings["Seed"], settings["Size"], settings["CFG scale"]) == ("42", "96x64", "6.5")
    assert settings["Model"] == r'"one, \"two\": three"'
    assert settings["Version"] == f"Easel {__version__}"


def test_all_that_decides_the_pixels_is_told() -> None:
    text = describe(**MADE, strength=0.6, clip_skip=2)
    assert "Model: starter, Denoising strength: 0.6, Clip skip: 2, Version" in text


def test_what_there_is_none_of_is_left_out() -> None:
    text = describe(**{**MADE, "negative_prompt": "", "model_digest": ""})
    assert "Negative" not in text
    assert not re.search("hash|Denoising|Clip", text)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "prompt", ["a red apple", "naïve café", "一只红色的猫 🐈‍⬛", "two\nlines: with, signs", "猫" * 4000]
)
def test_every_format_carries_the_text(form: Format, prompt: str, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    text = describe(**{**MADE, "prompt": prompt})
    assert read_parameters(encode(pixels, form, text).data) == text


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_carries_the_mark_of_the_machine(
    form: Format, pixels: np.ndarray[Any, np.dtype[np.uint8]]
) -> None:
    data = encode(pixels, form, describe(**MADE)).data
    packet = Image.open(io.BytesIO(data)).info["xmp"].decode()
    (description,) = ElementTree.fromstring(packet[packet.index("<x:") : packet.rindex("<?")])[0]
    assert description.attrib == {
        "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about": "",
        "{http://ns.adobe.com/xap/1.0/}CreatorTool": f"Easel {__version__}",
        "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType": AI_GENERATED,
    }


@pytest.mark.parametrize(("form", "tolerance"), [("png", 0), ("webp", 12), ("jpeg", 6)])
def test_the_file_is_the_picture(form: Format, tolerance: int, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    encoded = encode(pixels, form, describe(**MADE))
    with Image.open(io.BytesIO(encoded.data)) as image:
        assert image.format == form.upper()
        assert encoded.content_type == image.get_format_mimetype() == f"image/{form}"
        assert (encoded.width, encoded.height) == image.size == (96, 64)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - pixels).max() <= tolerance
    assert encoded.sha256 == hashlib.sha256(encoded.data).hexdigest()


@pytest.mark.parametrize("form", FORMATS)
def test_text_no_encoding_has_does_not_cost_the_picture(
    form: Format, pixels: np.ndarray[Any, np.dtype[np.uint8]]
) -> None:
    assert read_parameters(encode(pixels, form, "half \ud83d pair, \0 nul").data) == "half ? pair,   nul"


def test_a_text_too_long_for_exif_is_shortened_and_png_keeps_it_all(
    pixels: np.ndarray[Any, np.dtype[np.uint8]],
) -> None:
    text = "🐈" * 40_000
    assert read_parameters(encode(pixels, "png", text).data) == text
    for form in ("jpeg", "webp"):
        assert text.startswith(read_parameters(encode(pixels, form, text).data) or "nothing")


def test_a_file_without_a_text_has_none(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    for form in FORMATS:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, form)
        assert read_parameters(file.getvalue()) is None


def test_a_latin_prompt_is_a_plain_text_chunk_and_another_an_international_one(
    pixels: np.ndarray[Any, np.dtype[np.uint8]],
) -> None:
    assert b"tEXtparameters\0" in encode(pixels, "png", "café").data
    assert b"iTXtparameters\0" in encode(pixels, "png", "猫").data


def test_exif_text_has_the_byte_order_of_its_block_as_its_readers_expect() -> None:
    data = encode(np.zeros((8, 8, 3), np.uint8), "jpeg", "a cat").data
    assert b"Exif\0\0MM" in data
    assert b"UNICODE\0\0a\0 \0c\0a\0t" in data
