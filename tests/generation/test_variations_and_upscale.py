"""A new generation from one of the tenant's images: like it, or the same and larger."""

from uuid import UUID, uuid4

import pytest

from easel.database import platform_role
from generation.models import Image, Model
from generation.production import Production
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended


@pytest.fixture
def image_id(ada: Customer, workshop: Workshop, production: Production) -> UUID:
    generation = workshop.submit(ada, steps=4, sampler="Euler a", negative_prompt="blue", seed=11)
    production.drain(workshop.pool)
    ended(generation)
    with platform_role():
        found: UUID = Image.objects.get(generation_id=generation).id
    return found


def test_variations_start_from_the_image_with_its_words(
    ada: Customer, workshop: Workshop, production: Production, image_id: UUID
) -> None:
    answer = ada.client().post(f"/v1/images/{image_id}/variations", {"n": 2, "strength": 0.5}, format="json")
    assert answer.status_code == 202, answer.content
    made = answer.json()
    assert (made["prompt"], made["negative_prompt"], made["sampler"]) == ("a red apple", "blue", "Euler a")
    assert (made["n"], made["strength"], made["width"], made["height"]) == (2, 0.5, 64, 64)
    assert made["init_image"]
    production.drain(workshop.pool)
    generation = ended(UUID(made["id"]))
    assert (generation.status, generation.steps_run) == ("completed", 2 * 2)


def test_upscaling_draws_the_same_seed_larger(
    ada: Customer, workshop: Workshop, production: Production, image_id: UUID
) -> None:
    answer = ada.client().post(f"/v1/images/{image_id}/upscale", {"scale": 2}, format="json")
    assert answer.status_code == 202, answer.content
    made = answer.json()
    assert (made["width"], made["height"], made["seed"], made["strength"]) == (128, 128, 11, 0.3)
    production.drain(workshop.pool)
    assert ended(UUID(made["id"])).status == "completed"
    with platform_role():
        larger = Image.objects.get(generation_id=made["id"])
    assert (larger.width, larger.height) == (128, 128)


@pytest.mark.parametrize("what", ["variations", "upscale"])
def test_another_tenants_image_is_not_there(ada: Customer, bob: Customer, image_id: UUID, what: str) -> None:
    foreign, absent = (
        bob.client().post(f"/v1/images/{each}/{what}", {}, format="json") for each in (image_id, uuid4())
    )
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
    assert foreign.json() | {"instance": ""} == absent.json() | {"instance": ""}


@pytest.mark.parametrize(
    ("what", "fields", "named"),
    [("upscale", {"scale": 9}, "scale"), ("upscale", {"steps": 3}, "steps"), ("variations", {"n": 99}, "n")],
)
def test_what_cannot_be_is_named(ada: Customer, image_id: UUID, what: str, fields: dict[str, int], named: str) -> None:
    answer = ada.client().post(f"/v1/images/{image_id}/{what}", fields, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, named)


def test_the_same_request_twice_makes_one(ada: Customer, image_id: UUID) -> None:
    made = [
        ada.client().post(f"/v1/images/{image_id}/variations", {"seed": 1}, format="json", HTTP_IDEMPOTENCY_KEY="again")
        for _ in range(2)
    ]
    assert made[0].json()["id"] == made[1].json()["id"]


def test_a_scale_beyond_the_model_is_named(ada: Customer, workshop: Workshop, image_id: UUID) -> None:
    with platform_role():
        Model.objects.filter(id=workshop.model.id).update(max_size=100)
    answer = ada.client().post(f"/v1/images/{image_id}/upscale", {"scale": 2}, format="json")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"]) == (400, "scale")
    assert "128 x 128 pixels" in error["detail"]
