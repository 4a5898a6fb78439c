"""A client can ask what it may ask for."""

from pathlib import Path

import pytest
from django.test import override_settings

from easel.database import platform_role
from generation.checkpoint import CheckpointChanged
from generation.models import Model
from generation.registry import register, register_starter
from generation.request import GenerationRequest
from tests.cast import Customer
from tests.generation.conftest import Workshop
from tests.generation.test_console import person, signed_in


def test_models_are_listed_with_their_limits_and_defaults(ada: Customer, workshop: Workshop) -> None:
    listed = {model["name"]: model for model in ada.client().get("/v1/models").json()["data"]}
    mine = listed[workshop.model.name]
    assert mine["limits"] == {"min_size": 64, "max_size": 1024}
    assert mine["defaults"]["sampler"] == "DPM++ 2M"
    assert len(mine["version"]) == 12


def test_another_tenants_model_and_a_retired_one_are_not_listed(
    ada: Customer, bob: Customer, workshop: Workshop
) -> None:
    with platform_role():
        Model.objects.filter(id=workshop.model.id).update(tenant=bob.tenant)
    names = [{model["name"] for model in each.client().get("/v1/models").json()["data"]} for each in (ada, bob)]
    assert workshop.model.name not in names[0]
    assert workshop.model.name in names[1]
    refused = ada.client().post("/v1/generations", workshop.body(), format="json")
    assert refused.json()["errors"][0]["code"] == "unknown_model"
    with platform_role():
        Model.objects.filter(id=workshop.model.id).update(enabled=False)
    assert workshop.model.name not in {model["name"] for model in bob.client().get("/v1/models").json()["data"]}


def test_every_listed_sampler_is_accepted(ada: Customer) -> None:
    listed = ada.client().get("/v1/samplers").json()["data"]
    calls = {each["name"]: each["model_calls_at_20_steps"] for each in listed}
    assert (calls["Euler a"], calls["Heun"]) == (20, 39)
    refused = [name for name in calls if not GenerationRequest(data={"prompt": "a cat", "sampler": name}).is_valid()]
    assert refused == []


def test_the_models_page_says_what_the_starter_can_draw(ada: Customer) -> None:
    with platform_role():
        register_starter()
    listed = {model["name"]: model for model in ada.client().get("/v1/models").json()["data"]}
    names = [name for members in listed["starter"]["vocabulary"].values() for name in members]
    assert {"rocket", "castle", "owl"} <= set(names)
    assert len(names) >= 600
    page = signed_in(person(ada)).get("/console/models").content.decode()
    assert "demonstration model" in page
    assert "models add" in page


def test_the_starters_styles_are_models_with_words_categories_and_samples_of_their_own(ada: Customer) -> None:
    with platform_role():
        register_starter()
    client = ada.client()
    listed = {model["name"]: model for model in client.get("/v1/models").json()["data"]}
    styles = {name: listed[f"starter-{name}"] for name in ("landscape", "portrait", "cartoon")}
    assert len({style["prompt_prefix"] for style in styles.values()}) == 3
    assert {style["version"] for style in styles.values()} == {listed["starter"]["version"]}
    categories = [category for style in styles.values() for category in style["categories"]]
    assert {"landscape", "portrait", "cartoon"} <= set(categories)
    assert len(categories) == len(set(categories))
    assert not any(style["default"] for style in styles.values())
    sheets = [client.get(model["sample"]) for model in (listed["starter"], *styles.values())]
    assert {sheet["Content-Type"] for sheet in sheets} == {"image/webp"}
    assert len({b"".join(sheet) for sheet in sheets}) == 4
    page = signed_in(person(ada))
    assert b"/console/models/starter-cartoon/sample" in page.get("/console/models").content
    assert page.get("/console/models/starter-cartoon/sample").status_code == 200


def test_a_model_without_samples_has_no_sheet(ada: Customer, workshop: Workshop) -> None:
    listed = {model["name"]: model for model in ada.client().get("/v1/models").json()["data"]}
    assert "sample" not in listed[workshop.model.name]
    for name in (workshop.model.name, "nothing"):
        answer = ada.client().get(f"/v1/models/{name}/sample")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_starter_whose_files_were_changed_is_not_registered(tiny_folder: Path) -> None:
    (tiny_folder / "DIGEST").write_text("0" * 64 + "\n")
    try:
        with override_settings(STARTER_FOLDER=tiny_folder), platform_role(), pytest.raises(CheckpointChanged):
            register_starter()
    finally:
        (tiny_folder / "DIGEST").unlink()


def test_the_starter_does_not_push_an_operators_default_aside(workshop: Workshop) -> None:
    with platform_role():
        try:
            register(workshop.model.name, workshop.model.source, pool=workshop.pool, is_default=True)
            assert not register_starter()[0].is_default
            register(workshop.model.name, workshop.model.source, pool=workshop.pool)  # renewed, and still the default
            assert Model.objects.get(id=workshop.model.id).is_default
        finally:
            Model.objects.filter(id=workshop.model.id).update(is_default=False)
        assert register_starter()[0].is_default
