"""A checkpoint's digest follows every byte that decides a picture, and nothing else."""

import hashlib
import shutil
from pathlib import Path

import pytest

from generation.checkpoint import (
    CheckpointChanged,
    CheckpointError,
    digest,
    model_files,
    pipeline_class,
    read_components,
    verify,
)
from starter.digest import folder_digest


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folder, tmp_path / "copy")


def test_it_is_the_sha256_of_a_sorted_list_of_paths_and_sha256s(folder: Path) -> None:
    listing = "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in [
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "tokenizer/tokenizer.json",
            "tokenizer/tokenizer_config.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
        ]
    )
    assert digest(folder) == hashlib.sha256(listing.encode()).hexdigest()


def test_the_starter_model_is_published_with_the_same_digest(folder: Path) -> None:
    assert folder_digest(folder) == digest(folder)


def test_every_model_file_counts(copy: Path) -> None:
    digests = {digest(copy)}
    for path in model_files(copy):
        with (copy / path).open("ab") as file:
            file.write(b"\n")
        digests.add(digest(copy))
    assert len(digests) == 1 + len(model_files(copy))


def test_a_renamed_file_counts(copy: Path) -> None:
    before = digest(copy)
    (copy / "vae" / "config.json").rename(copy / "vae" / "other.json")
    assert digest(copy) != before


@pytest.mark.parametrize("extra", ["README.md", "LICENSE.txt", "sheet.png", ".cache/refs.json", "training.json"])
def test_what_lies_around_does_not_count(extra: str, copy: Path) -> None:
    before = digest(copy)
    (copy / extra).parent.mkdir(exist_ok=True)
    (copy / extra).write_text("something")
    assert digest(copy) == before


def test_a_changed_folder_is_told_from_the_registered_one(copy: Path) -> None:
    registered = digest(copy)
    verify(copy, registered)
    (copy / "vae" / "config.json").write_text("{}")
    with pytest.raises(CheckpointChanged):
        verify(copy, registered)
    verify(copy, "")  # nobody pinned it


def test_a_folder_that_is_no_model_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        digest(tmp_path)


def test_the_folder_says_what_it_is(folder: Path) -> None:
    assert pipeline_class(folder) == "StableDiffusionPipeline"
    assert read_components(folder)["unet"] == ("diffusers", "UNet2DConditionModel")
    assert "safety_checker" not in read_components(folder)
