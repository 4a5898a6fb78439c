"""`POST /v1/inputs`: the same picture by four ways, and what is not one named."""

import io
from concurrent.futures import ThreadPoolExecutor
from socket import socket
from threading import Barrier, Event
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from PIL import Image

from easel.storage import storage
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
        ({}, "", "required"),
        ({"file": "x"}, "file", "unknown_field"),
        ({"upload": "0193a3c0-0000-7000-8000-000000000000"}, "upload", "not_uploaded"),
        ({"upload": "x"}, "upload", "invalid"),
        ([], "", "not_an_object"),
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


def test_one_account_fetches_one_picture_at_a_time_and_nobody_waits_for_a_turn(ada: Customer, bob: Customer) -> None:
    asked, go_on = Barrier(2), Event()

    def stalls(connection: socket, request: bytes) -> None:
        asked.wait(20)
        go_on.wait(20)
        answering(body=picture())(connection, request)

    def fetch(customer: Customer) -> Any:
        return customer.client().post("/v1/inputs", {"url": f"http://127.0.0.1:{port}/a.png"}, format="json")

    with (
        receiver(stalls) as (port, _), override_settings(OUTBOUND_ALLOW=["127.0.0.1/32"]), ThreadPoolExecutor() as pool
    ):  # fmt: skip
        first = pool.submit(fetch, ada)
        asked.wait(20)
        again = fetch(ada)
        assert (again.status_code, again.json()["code"], again["Retry-After"]) == (429, "rate_limited", "2")
        second = pool.submit(fetch, bob)
        asked.wait(20)
        go_on.set()
        assert (first.result().status_code, second.result().status_code) == (201, 201)


@pytest.mark.parametrize("body", [b"", b"hello", picture()[:60], b"\x89PNG\r\n\x1a\n" + b"\0" * 100])
def test_what_is_no_picture_is_refused(ada: Customer, body: bytes) -> None:
    assert ada.client().generic("POST", "/v1/inputs", body, content_type="image/png").status_code == 400
    form = {"file": SimpleUploadedFile("a.png", body)}
    answer = ada.client().post("/v1/inputs", form, format="multipart")
    assert answer.status_code == 400


def test_a_form_without_the_file_is_named(ada: Customer) -> None:
    answer = ada.client().post("/v1/inputs", {"other": "x"}, format="multipart")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "file")


@pytest.fixture
def public_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store, as if its address were public."""
    monkeypatch.setattr(storage(), "_public_endpoint", settings.S3["endpoint"])
    monkeypatch.setitem(storage().__dict__, "_public_client", storage()._client)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("public_store")
def test_a_file_goes_straight_to_the_store_and_no_larger_than_it_may(ada: Customer, bob: Customer) -> None:
    with override_settings(UPLOAD_MAX_BYTES=2_000):
        upload = ada.client().post("/v1/uploads", {}, format="json").json()
    too_large = httpx.post(upload["url"], data=upload["fields"], files={"file": b"x" * 2_001})
    assert too_large.status_code in {400, 403}
    sent = httpx.post(upload["url"], data=upload["fields"], files={"file": picture()})
    assert sent.status_code in {200, 201, 204}, sent.text
    kept = ada.client().post("/v1/inputs", {"upload": upload["id"]}, format="json")
    assert (kept.status_code, kept.json()["width"]) == (201, 64)
    foreign = bob.client().post("/v1/inputs", {"upload": upload["id"]}, format="json")
    assert foreign.json()["errors"][0]["code"] == "not_uploaded"


def test_without_a_public_store_files_are_sent_here(ada: Customer) -> None:
    answer = ada.client().post("/v1/uploads", {}, format="json")
    assert (answer.status_code, "/v1/inputs" in answer.json()["detail"]) == (404, True)


def test_it_needs_the_scope_to_write() -> None:
    reader = make_customer("Reader", scopes=["generations:read"])
    assert reader.client().generic("POST", "/v1/inputs", picture(), content_type="image/png").status_code == 403


def test_an_account_fills_the_store_with_so_much_a_day_and_no_more(ada: Customer, bob: Customer) -> None:
    def give(customer: Customer) -> Any:
        noise = Image.effect_noise((64, 64), 50).convert("RGB")
        file = io.BytesIO()
        noise.save(file, "PNG")
        return customer.client().generic("POST", "/v1/inputs", file.getvalue(), content_type="image/png")

    with override_settings(GIVEN_BYTES_A_DAY=20_000):
        codes = [give(ada).status_code for _ in range(12)]
        refused = give(ada)
        assert give(bob).status_code == 201, "each account has room of its own"
    assert codes[0] == 201
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (429, "quota_exceeded", "3600")
    assert sum(len(storage().get(key)) for key in storage().keys(f"t/{ada.id}/i/")) <= 20_000


def test_so_many_uploads_are_begun_at_once_and_no_more(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage(), "_public_endpoint", "https://pictures.example.org")
    with override_settings(GIVEN_BYTES_A_DAY=3 * settings.UPLOAD_MAX_BYTES):
        codes = [ada.client().post("/v1/uploads").status_code for _ in range(5)]
    assert codes == [201, 201, 201, 429, 429]


def test_a_form_of_too_many_fields_is_refused(ada: Customer) -> None:
    answer = ada.client().post("/v1/inputs", {f"x{number}": "1" for number in range(1001)}, format="multipart")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "too_many_fields")
