"""A checkpoint that is missing, damaged, changed or able to run code is not loaded, and the error says what to do."""

import json
import logging
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from generation import checkpoint as folders
from generation.engine.loading import locate
from generation.engine.protocol import Checkpoint, Engine, ModelUnavailable
from tests.engine.asking import draw

UNET = Path("unet/diffusion_pytorch_model.safetensors")


def truncate(folder: Path) -> None:
    (folder / UNET).write_bytes((folder / UNET).read_bytes()[:5000])


def pickle_only(folder: Path) -> None:
    for file in folder.rglob("*.safetensors"):
        file.with_suffix(".bin").write_bytes(pickle.dumps({}))
        file.unlink()


def add_pickle(folder: Path) -> None:
    (folder / "vae" / "extra.CKPT").write_bytes(b"")


def add_code(folder: Path) -> None:
    (folder / "unet" / "unet.py").write_text("raise SystemExit")


def name_code_of_its_own(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": ["pipeline", "Mine"]}))


def lose_weights(folder: Path) -> None:
    (folder / UNET).unlink()


def lose_scheduler(folder: Path) -> None:
    shutil.rmtree(folder / "scheduler")


def break_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")


def lose_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


def another_kind(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": "NoSuchPipeline"}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncate, "damaged or incomplete"),
        (pickle_only, "unet/diffusion_pytorch_model.bin.*can run code"),
        (add_pickle, "vae/extra.CKPT.*can run code"),
        (add_code, "unet/unet.py.*can run code"),
        (name_code_of_its_own, "names no pipeline of diffusers"),
        (lose_weights, "damaged or incomplete"),
        (lose_scheduler, "scheduler_config.json"),
        (break_index, "cannot be read"),
        (lose_index, "not a model in diffusers form"),
        (another_kind, "damaged or incomplete"),
        (shutil.rmtree, "is not a folder"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_folder_is_refused_and_the_next_picture_is_drawn(
    damage: Callable[[Path], None],
    said: str,
    folder: Path,
    tmp_path: Path,
    engine: Engine,
    checkpoint: Checkpoint,
    caplog: pytest.LogCaptureFixture,
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    damage(copy)
    with pytest.raises(ModelUnavailable, match=said) as refusal:
        draw(engine, Checkpoint(name="damaged", source=str(copy)))
    assert refusal.value.permanent
    assert "Model damaged" in refusal.value.detail
    assert refusal.value.detail in caplog.text
    assert draw(engine, checkpoint).steps_run == 4


def test_the_digest_it_was_registered_with_opens_it_and_another_does_not(folder: Path, engine: Engine) -> None:
    right = folders.digest(folder)
    assert draw(engine, Checkpoint(name="pinned", source=str(folder), digest=right)).steps_run == 4
    with pytest.raises(ModelUnavailable, match=f"has digest {right}, but was registered with 00"):
        draw(engine, Checkpoint(name="pinned", source=str(folder), digest="00"))


def test_warming_up_a_missing_model_is_logged_and_not_raised(
    engine: Engine, checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine.warm_up([Checkpoint(name="lost", source="/nowhere"), replace(checkpoint, native_size=64)])
    assert "/nowhere is not a folder" in caplog.text
    assert "Warmed up model tiny" in caplog.text


def raising(error: Exception) -> Callable[[Checkpoint], str]:
    def fetch(_checkpoint: Checkpoint) -> str:
        raise error

    return fetch


ON_HUB = Checkpoint(name="hub", source="owner/model", revision="v1")


def test_a_hub_id_is_fetched_unless_a_folder_has_that_name(folder: Path) -> None:
    assert locate(ON_HUB, lambda _checkpoint: str(folder)) == folder
    assert locate(Checkpoint(name="tiny", source=str(folder)), raising(AssertionError())) == folder


def test_a_model_the_hub_does_not_have_is_unavailable_for_good() -> None:
    with pytest.raises(ModelUnavailable, match=r"owner/model.*revision v1") as refusal:
        locate(ON_HUB, raising(RepositoryNotFoundError.__new__(RepositoryNotFoundError)))
    assert refusal.value.permanent


@pytest.mark.parametrize("error", [ConnectionError("no route"), LocalEntryNotFoundError("offline")])
def test_a_hub_that_cannot_be_reached_is_worth_another_attempt(error: Exception) -> None:
    with pytest.raises(ModelUnavailable, match="could not be fetched") as refusal:
        locate(ON_HUB, raising(error))
    assert not refusal.value.permanent
