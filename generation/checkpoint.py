"""A model's files on disk: what they are, that they are the registered ones, that none can run code."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INDEX = "model_index.json"
WEIGHTS = ".safetensors"
# In the components' folders: configurations, vocabularies, weights. Not README, license or pictures.
MODEL_SUFFIXES = frozenset({".json", ".txt", ".model", WEIGHTS})
# Pickles run code when they are opened; so does a pipeline that brings its own Python.
UNSAFE_SUFFIXES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".py"})


class CheckpointError(Exception):
    """A model folder that must not be used; the message says what an operator can do about it."""


class CheckpointMissing(CheckpointError):
    """There is no such folder, or it holds no diffusers pipeline."""


class CheckpointUnsafe(CheckpointError):
    """It holds files that can run code, or weights in another form than safetensors."""


class CheckpointChanged(CheckpointError):
    """Its digest is not the one it was registered with."""


def model_files(folder: Path) -> list[Path]:
    """The files that decide what the model draws, relative to the folder, in the digest's order."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in files if _is_model_file(path))


def digest(folder: Path) -> str:
    """SHA-256 in hex over one line `sha256␠␠path` for each model file, as `sha256sum` prints them, sorted by path."""
    read_index(folder)
    lines = (f"{_sha256(folder / path)}  {path.as_posix()}\n" for path in model_files(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def verify(folder: Path, expected: str) -> None:
    """Raises a CheckpointError unless the folder is safe to load and has that digest ("" is any)."""
    require_safe(folder)
    if not expected:
        return
    found = digest(folder)
    if found != expected:
        raise CheckpointChanged(
            f"{folder} has digest {found}, but was registered with {expected}. Restore its files, "
            "or register what is there as a new version."
        )


def require_safe(folder: Path) -> None:
    """Raises CheckpointMissing or CheckpointUnsafe unless the weights are safetensors and nothing in the
    folder can run code."""
    components = read_components(folder)
    if unsafe := sorted(_unsafe_files(folder)):
        raise CheckpointUnsafe(
            f"{folder} contains {', '.join(unsafe)}, which can run code when opened. "
            "Only safetensors are loaded: convert the weights and remove these files."
        )
    if not any(path.suffix == WEIGHTS and path.parts[0] in components for path in model_files(folder)):
        raise CheckpointUnsafe(f"{folder} holds no weights in safetensors form.")


def read_index(folder: Path) -> dict[str, Any]:
    """What the folder says of itself in model_index.json; raises CheckpointMissing."""
    if not folder.is_dir():
        raise CheckpointMissing(f"{folder} is not a folder. Put the model there, or correct its path.")
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointMissing(f"{folder} has no {INDEX}: it is not a model in diffusers form.") from error
    except ValueError as error:
        raise CheckpointMissing(f"{folder / INDEX} cannot be read: {error}.") from error
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        # A list in its place names a class of the folder's own Python.
        raise CheckpointMissing(f"{folder / INDEX} names no pipeline of diffusers.")
    return index


def pipeline_class(folder: Path) -> str:
    """The diffusers pipeline the folder says it is, e.g. "StableDiffusionPipeline"."""
    return str(read_index(folder)["_class_name"])


def read_components(folder: Path) -> dict[str, tuple[str, str]]:
    """Name → (library, class) of the components the pipeline has; those left out on purpose are null."""
    return {
        name: (value[0], value[1])
        for name, value in read_index(folder).items()
        if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
    }


def _is_model_file(path: Path) -> bool:
    if len(path.parts) == 1:
        return path.name == INDEX
    return path.suffix in MODEL_SUFFIXES and not any(part.startswith(".") for part in path.parts)


def _unsafe_files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix.lower() in UNSAFE_SUFFIXES:
            yield path.relative_to(folder).as_posix()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
