"""`manage.py models`: what operators do with models, and what customers see of it."""

import io
import shutil
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from easel.database import platform_role
from easel.storage import storage
from generation.models import CachedResult, Model
from tests.cast import Customer
from tests.generation.conftest import Workshop


def models(*words: str) -> str:
    out = io.StringIO()
    call_command("models", *words, stdout=out)
    return out.getvalue()


def stored(name: str) -> Model:
    with platform_role():
        return Model.objects.select_related("fallback").get(name=name)


@pytest.fixture
def name() -> str:
    return f"test-{uuid4().hex[:12]}"


def test_a_model_is_added_with_all_that_is_known_of_it(name: str, workshop: Workshop, tiny_folder: Path) -> None:
    said = models(
        "add", name, str(tiny_folder), "--pool", workshop.pool, "--license", "CreativeML OpenRAIL-M",
        "--accept-license", "ops@example.org", "--category", "animal", "--category", "cartoon",
        "--fallback", workshop.model.name, "--factor", "2.5", "--max-size", "768", "--max-steps", "60",
    )  # fmt: skip
    model = stored(name)
    assert f"{name} {model.digest[:12]}" in said
    assert (model.license, model.license_accepted_by) == ("CreativeML OpenRAIL-M", "ops@example.org")
    assert model.license_accepted_at is not None
    assert model.categories == ["animal", "cartoon"]
    assert model.fallback == workshop.model
    assert (model.factor, model.max_size, model.max_steps) == (2.5, 768, 60)
    assert f"{name} → {workshop.model.name}" in models("list")


def test_a_license_that_nobody_accepted_keeps_a_model_out(name: str, tiny_folder: Path) -> None:
    with pytest.raises(CommandError, match="--accept-license"):
        models("add", name, str(tiny_folder), "--license", "CreativeML OpenRAIL-M")
    assert not models("list").count(name)


def test_the_smoke_picture_is_drawn_first_and_kept(name: str, tiny_folder: Path) -> None:
    models("add", name, str(tiny_folder), "--pool", name, "--size", "64", "--smoke")
    assert storage().get(stored(name).smoke_key).startswith(b"RIFF")


def test_a_model_that_draws_no_smoke_picture_is_not_added(name: str, tiny_folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(tiny_folder, tmp_path / "broken"))
    (weights,) = (broken / "unet").glob("*.safetensors")
    weights.write_bytes(b"nothing")
    with pytest.raises(CommandError, match="drew no picture"):
        models("add", name, str(broken), "--pool", name, "--smoke")
    assert name not in models("list")


@pytest.mark.parametrize("source", ["/nowhere/model", "./model", "models/my/model", "my-model", "../model"])
def test_a_mistyped_folder_is_not_taken_for_a_hub_id(name: str, source: str) -> None:
    with pytest.raises(CommandError, match=f"There is no folder {source}, and it is no hub id"):
        models("add", name, source, "--pool", name)
    assert name not in models("list")


def test_a_step_count_beyond_the_models_is_refused(ada: Customer, workshop: Workshop) -> None:
    with platform_role():
        Model.objects.filter(id=workshop.model.id).update(max_steps=10)
    answer = ada.client().post("/v1/generations", workshop.body(steps=11), format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "steps"


def test_a_retired_model_can_be_asked_for_no_more_and_answers_nobody(ada: Customer, workshop: Workshop) -> None:
    waiting = workshop.submit(ada)
    models("retire", workshop.model.name)
    answer = ada.client().post("/v1/generations", workshop.body(), format="json")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_model")
    assert workshop.model.name not in [each["name"] for each in ada.client().get("/v1/models").json()["data"]]
    assert ada.client().get(f"/v1/generations/{waiting}").json()["model"] == workshop.model.name
    with platform_role():
        assert not CachedResult.objects.filter(model=workshop.model).exists()
    models("restore", workshop.model.name)
    workshop.submit(ada)


def test_a_restricted_model_is_there_for_whom_it_was_allowed(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    with platform_role():
        Model.objects.filter(id=workshop.model.id).update(restricted=True)
    models("allow", workshop.model.name, ada.tenant.slug)
    workshop.submit(ada)
    assert workshop.model.name in [each["name"] for each in ada.client().get("/v1/models").json()["data"]]
    assert bob.client().post("/v1/generations", workshop.body(), format="json").status_code == 400
    assert workshop.model.name not in [each["name"] for each in bob.client().get("/v1/models").json()["data"]]
    models("deny", workshop.model.name, ada.tenant.slug)
    assert ada.client().post("/v1/generations", workshop.body(), format="json").status_code == 400


def test_an_unknown_name_is_an_error_that_says_so() -> None:
    with pytest.raises(CommandError, match="no model 'nobody'"):
        models("retire", "nobody")


def test_a_model_that_is_taken_from_a_hub_now_is_not_held_to_the_digest_of_its_folder(
    name: str, tiny_folder: Path
) -> None:
    models("add", name, str(tiny_folder), "--pool", name)
    models("add", name, "owner/model", "--pool", name, "--revision", "v1")
    assert (stored(name).source, stored(name).digest, stored(name).version) == ("owner/model", "", "v1")


def test_a_worker_loads_no_retired_model_before_it_is_asked_for_one(name: str, tiny_folder: Path) -> None:
    from generation.tasks import checkpoints

    models("add", name, str(tiny_folder), "--pool", name)
    assert [each.name for each in checkpoints([name])] == [name]
    models("retire", name)
    assert checkpoints([name]) == []
