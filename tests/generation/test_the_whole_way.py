"""From the POST to the file: every part is real, the model is tiny."""

import io
from typing import Any

import pytest
from django.test import Client, override_settings
from PIL import Image as PILImage

from billing.models import Entry, Wallet
from easel.database import platform_role
from easel.storage import storage
from generation.models import Flow, Generation, Image, ObjectIntent
from generation.pictures import read_parameters
from generation.production import Production
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended


def test_a_generation_is_drawn_stored_charged_and_fetched(
    ada: Customer, workshop: Workshop, production: Production
) -> None:
    client = ada.client()
    accepted = client.post("/v1/generations", workshop.body(n=2, seed=7), format="json")
    assert accepted.status_code == 202
    body = accepted.json()
    assert body["id"] == body["task_id"]
    assert body["status"] == "queued"
    assert accepted["Location"] == body["links"]["self"]
    assert client.get(f"/v1/generations/status/{body['id']}").json()["progress"] == 0.0
    waiting = client.get(f"/v1/generations/result/{body['id']}")
    assert (waiting.status_code, waiting["Retry-After"]) == (202, "1")

    production.drain(workshop.pool)
    ended(body["id"])

    whole = client.get(body["links"]["self"]).json()
    assert whole["status"] == "completed"
    assert whole["prompt"] == "a red apple"
    assert [image["seed"] for image in whole["images"]] == [7, 8]
    assert whole["credits"] == body["quote"]["credits"] == 2
    assert whole["model_version"]
    assert whole["timings"]["total_seconds"] >= whole["timings"]["drawing_seconds"] > 0
    assert client.get(body["links"]["status"]).json()["progress"] == 1.0

    file = Client().get(whole["images"][0]["url"])  # nobody is signed in: the address is the permission
    assert (file.status_code, file["Content-Type"]) == (200, "image/png")
    assert PILImage.open(io.BytesIO(file.content)).size == (64, 64)
    assert "a red apple" not in str(read_parameters(file.content))  # it rests in clear: tests/rights/
    assert "Seed: 7" in str(read_parameters(file.content))

    with platform_role():
        wallet = Wallet.objects.get(tenant=ada.tenant)
        flow = Flow.objects.get(tenant=ada.tenant)
        kinds = list(Entry.objects.filter(owner_id=body["id"]).values_list("kind", flat=True).order_by("kind"))
        assert not ObjectIntent.objects.filter(tenant=ada.tenant).exists()
    assert (wallet.available, wallet.held) == (9_998, 0)
    assert (flow.queued, flow.running) == (0, 0)
    assert kinds == ["charge", "hold"]


def test_the_result_is_the_file_itself_for_a_client_that_accepts_images(
    ada: Customer, workshop: Workshop, production: Production
) -> None:
    generation = workshop.submit(ada, n=2, format="webp")
    production.drain(workshop.pool)
    ended(generation)
    client = ada.client()
    result = f"/v1/generations/result/{generation}"
    first = client.get(result, headers={"Accept": "image/*"})
    second = client.get(f"{result}?index=1", headers={"Accept": "image/webp"})
    assert first["Content-Type"] == second["Content-Type"] == "image/webp"
    assert first.content != second.content
    assert client.get(f"{result}?index=2", headers={"Accept": "image/*"}).status_code == 404
    assert client.get(result, headers={"Accept": "*/*"}).json()["images"][1]["index"] == 1
    with platform_role():
        storage().delete(Image.objects.get(generation_id=generation, index=1).object_key)
    lost = client.get(f"{result}?index=1", headers={"Accept": "image/webp"})
    assert (lost.status_code, lost.json()["code"]) == (404, "not_found")


def test_the_same_seed_draws_the_same_pixels_and_another_seed_others(
    ada: Customer, workshop: Workshop, production: Production
) -> None:
    first, again, other = (workshop.submit(ada, seed=seed) for seed in (5, 5, 6))
    production.drain(workshop.pool)
    pixels = [pixels_of(ada, ended(each)) for each in (first, again, other)]
    assert pixels[0] == pixels[1] != pixels[2]


def test_a_drawn_seed_is_returned(ada: Customer, workshop: Workshop) -> None:
    bodies = [ada.client().post("/v1/generations", workshop.body(), format="json").json() for _ in range(2)]
    assert bodies[0]["seed"] != bodies[1]["seed"]


@pytest.mark.parametrize("spoil", [lambda token: token[:-2], lambda token: token + "x", lambda token: "nonsense"])
def test_a_media_address_that_was_changed_opens_nothing(
    ada: Customer, workshop: Workshop, production: Production, spoil: Any
) -> None:
    generation = workshop.submit(ada)
    production.drain(workshop.pool)
    ended(generation)
    url = ada.client().get(f"/v1/generations/{generation}").json()["images"][0]["url"]
    address, token = url.rsplit("/", 1)
    assert Client().get(f"{address}/{token}").status_code == 200
    assert Client().get(f"{address}/{spoil(token)}").status_code == 404


def test_a_media_address_ends(ada: Customer, workshop: Workshop, production: Production) -> None:
    generation = workshop.submit(ada)
    production.drain(workshop.pool)
    ended(generation)
    with override_settings(MEDIA_URL_SECONDS=-1):
        url = ada.client().get(f"/v1/generations/{generation}").json()["images"][0]["url"]
    assert Client().get(url).status_code == 404


def pixels_of(customer: Customer, generation: Generation) -> str:
    images = customer.client().get(f"/v1/generations/{generation.id}").json()["images"]
    file = Client().get(images[0]["url"]).content
    return PILImage.open(io.BytesIO(file)).tobytes().hex()
