"""A picture says where it comes from, anybody can check that, and a change of it shows."""

import io
import json
from typing import Any

import c2pa
import pytest
from django.test import Client
from PIL import Image as PILImage

from easel.database import platform_role
from easel.storage import storage
from generation import authority, provenance
from generation.pictures import read_parameters
from tests.cast import Customer, make_customer
from tests.rights.conftest import Draw, wish

FORMATS = pytest.mark.parametrize("form", ["png", "jpeg", "webp"])


def check(customer: Customer, data: bytes, content_type: str) -> dict[str, Any]:
    answer = customer.client().post("/v1/provenance", data, content_type=content_type)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


@FORMATS
def test_a_delivered_picture_is_trusted(ada: Customer, draw: Draw, form: str) -> None:
    (image,) = draw(ada, format=form, prompt="a secret garden")
    data = storage().get(image.object_key)
    assert len(data) == image.bytes
    found = check(ada, data, image.content_type)
    assert (found["standing"], found["problems"]) == ("trusted", [])
    assert found["ai_generated"] is True
    assert found["generator"].startswith("Easel ")
    assert found["signer"] == "Easel"
    assert found["generation"]["generation"] == str(image.generation_id)
    assert "garden" not in json.dumps(found)
    assert "Seed:" in str(read_parameters(data))  # the marks are still there
    PILImage.open(io.BytesIO(data)).load()


@FORMATS
def test_the_librarys_own_reader_trusts_it_with_our_root(ada: Customer, draw: Draw, form: str) -> None:
    (image,) = draw(ada, format=form)
    data = storage().get(image.object_key)
    anchors = Client().get("/v1/provenance/anchors").content.decode()
    assert "BEGIN CERTIFICATE" in anchors
    settings = {"trust": {"trust_anchors": anchors}, "verify": {"verify_trust": True, "remote_manifest_fetch": False}}
    with (
        c2pa.Context.from_dict(settings) as context,
        c2pa.Reader(image.content_type, io.BytesIO(data), context=context) as reader,
    ):
        assert reader.get_validation_state() == "Trusted"


@FORMATS
def test_a_changed_byte_shows(ada: Customer, draw: Draw, form: str) -> None:
    (image,) = draw(ada, format=form)
    data = storage().get(image.object_key)
    for position in picture_bytes(data, form):
        altered = bytearray(data)
        altered[position] ^= 1
        found = check(ada, bytes(altered), image.content_type)
        assert found["standing"] == "invalid", position
        assert found["problems"], position


def picture_bytes(data: bytes, form: str) -> list[int]:
    """Places in what is seen: the coded pixels, not the manifest itself."""
    if form == "png":
        start = data.rindex(b"IDAT") + 4
        return [start, start + 40, start + (len(data) - start) // 2]
    if form == "jpeg":
        start = data.rindex(b"\xff\xda") + 14
        return [start, (start + len(data)) // 2, len(data) - 3]
    start = data.index(b"VP8 ") + 30
    return [start, start + 40]


def test_a_picture_saved_anew_has_no_manifest(ada: Customer, draw: Draw) -> None:
    (image,) = draw(ada)
    again = io.BytesIO()
    PILImage.open(io.BytesIO(storage().get(image.object_key))).save(again, "PNG")
    found = check(ada, again.getvalue(), "image/png")
    assert (found["standing"], found["generation"]) == ("none", None)


def test_a_picture_signed_by_somebody_else_is_valid_and_not_trusted(ada: Customer, draw: Draw) -> None:
    (image,) = draw(ada)
    data = storage().get(image.object_key)
    assert provenance.read(data, "image/png", anchors="").standing == "valid"


def test_a_tenant_may_sign_in_its_own_name(draw: Draw) -> None:
    atelier = make_customer("Atelier Ada")
    wish(atelier, own_certificate=True)
    (image,) = draw(atelier)
    found = check(atelier, storage().get(image.object_key), "image/png")
    assert (found["standing"], found["signer"]) == ("trusted", "Atelier Ada")
    (again,) = draw(atelier)
    assert check(atelier, storage().get(again.object_key), "image/png")["certificate"] == found["certificate"]


def test_a_sealed_picture_is_signed_before_it_is_sealed(ada: Customer, draw: Draw) -> None:
    wish(ada, seal_images=True)
    (image,) = draw(ada)
    url = ada.client().get(f"/v1/generations/{image.generation_id}").json()["images"][0]["url"]
    assert check(ada, Client().get(url).content, "image/png")["standing"] == "trusted"


@pytest.mark.parametrize("body", [b"not a picture", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\xff\xff\xffWEBP" + bytes(40)])
def test_what_is_no_picture_is_answered_not_crashed_on(ada: Customer, body: bytes) -> None:
    for content_type in provenance.TYPES:
        assert check(ada, body, content_type)["standing"] in {"invalid", "none"}


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("image/gif", b"GIF89a", 415, "unsupported_media_type"),
        ("application/json", b"{}", 415, "unsupported_media_type"),
        ("image/png", b"", 400, "invalid_request"),
    ],
)
def test_other_bodies_are_refused(ada: Customer, content_type: str, body: bytes, status: int, code: str) -> None:
    answer = ada.client().post("/v1/provenance", body, content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_certificate_from_elsewhere_takes_the_place_of_ours() -> None:
    with platform_role():
        ours = authority.signatory()
        lent = authority.signatory(make_customer("Lender").id)
        try:
            authority.install(lent.chain, lent.key)
            assert authority.signatory().chain == lent.chain
        finally:
            authority.install(ours.chain, ours.key)
        assert authority.signatory().key == ours.key
        with pytest.raises(authority.BadCertificate, match="does not belong"):
            authority.install(ours.chain, lent.key)
        assert ours.key.decode() not in repr(ours)
