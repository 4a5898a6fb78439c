"""`POST /v1/inputs`: the same picture by four ways, and what is not one named."""

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from PIL import Image

from tests.cast import Customer, make_customer
from tests.generation.conftest import Workshop
from tests.web.receiver import answering, receiver


def picture(size: tuple[int, int] = (64, 48), format_: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, format_)
    return file.getvalue()


def test_every_way_leads_to_the_same_input_and_a_generation_takes_it(ada: Customer, workshop: Workshop) -> None:
    client = ada.client()
    with receiver(answering(body=picture())) as (port, _), override_settings(OUTBOUND_ALLOW=["127.0.0.1/32"]):
        answers = [
            client.generic("POST", "/v1/inputs", picture(), content_type="image/png"),
            client.post("/v1/inputs", {"file": SimpleUploadedFile("a.png", picture())}, format="multipart"),
            client.post("/v1/inputs", {"url": f"http://127.0.0.1:{port}/a.png"}, format="json"),
        ]
    assert [answer.status_code for answer in answers] == [201, 201, 201], [answer.content for answer in answers]
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 1
    accepted = client.post("/v1/generations", workshop.body(init_image=ids.pop()), format="json")
    assert accepted.status_code == 202, accepted.content


@pytest.mark.parametrize(
    ("sent", "field", "code"),
    [
        ({"url": "http://127.0.0.1/x"}, "url", "refused_address"),
        ({"url": "http://169.254.169.254/latest"}, "url", "refused_address"),
        ({"url": "gopher://example.org"}, "url", "refused_address"),
        ({"url": 5}, "url", "invalid"),
        ({}, "url", "required"),
        ({"file": "x"}, "url", "required"),
        ([], "", "invalid"),
    ],
)
def test_a_bad_address_is_named(ada: Customer, sent: Any, field: str, code: str) -> None:
    answer = ada.client().post("/v1/inputs", sent, format="json")
    assert answer.status_code == 400, answer.content
    assert (field, code) in [(error["field"], error["code"]) for error in answer.json()["errors"]]


def test_a_redirect_into_our_network_is_refused(ada: Customer) -> None:
    with receiver(answering(body=picture())) as (inside, seen):
        redirect = answering("302 Found", Location=f"http://127.0.0.2:{inside}/")
        with receiver(redirect) as (port, _), override_settings(OUTBOUND_ALLOW=["127.0.0.1/32"]):
            answer = ada.client().post("/v1/inputs", {"url": f"http://127.0.0.1:{port}/"}, format="json")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "refused_address")
        assert seen == []


@pytest.mark.parametrize("body", [b"", b"hello", picture()[:60], b"\x89PNG\r\n\x1a\n" + b"\0" * 100])
def test_what_is_no_picture_is_refused(ada: Customer, body: bytes) -> None:
    assert ada.client().generic("POST", "/v1/inputs", body, content_type="image/png").status_code == 400
    form = {"file": SimpleUploadedFile("a.png", body)}
    answer = ada.client().post("/v1/inputs", form, format="multipart")
    assert answer.status_code == 400


def test_a_form_without_the_file_is_named(ada: Customer) -> None:
    answer = ada.client().post("/v1/inputs", {"other": "x"}, format="multipart")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "file")


def test_it_needs_the_scope_to_write() -> None:
    reader = make_customer("Reader", scopes=["generations:read"])
    assert reader.client().generic("POST", "/v1/inputs", picture(), content_type="image/png").status_code == 403
