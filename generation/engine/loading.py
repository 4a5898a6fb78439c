"""From a checkpoint to a pipeline on the device: found, verified, safetensors only, no foreign code."""

import inspect
import json
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

os.environ["DIFFUSERS_DISABLE_REMOTE_CODE"] = "true"  # read when diffusers is imported

import diffusers
import huggingface_hub
import huggingface_hub.errors as hub
import transformers

from generation import checkpoint as folders
from generation.engine.device import Device, is_device_lost, is_out_of_memory
from generation.engine.protocol import Checkpoint, ModelUnavailable

log = logging.getLogger(__name__)
# diffusers would write the words of a prompt that is too long into the log, and transformers that there are such.
diffusers.utils.logging.set_verbosity_error()
diffusers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

# While a pipeline is loaded, torch's modules are patched for all threads; two loads at once would leave them so.
LOADING = Lock()
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
# A ValueError is a name the hub cannot have, or a model without safetensors.
NOT_THERE = (hub.RepositoryNotFoundError, hub.RevisionNotFoundError, hub.EntryNotFoundError, ValueError)
NEEDED = (
    "prompt",
    "negative_prompt",
    "guidance_scale",
    "width",
    "height",
    "generator",
    "callback_on_step_end",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A loaded checkpoint: its pipeline, and the file that says how its noise was made in training."""

    checkpoint: Checkpoint
    pipeline: Any
    scheduler_config: dict[str, Any]


def load(checkpoint: Checkpoint, device: Device) -> Model:
    """Raises ModelUnavailable, or what torch raises when memory runs out."""
    folder = locate(checkpoint)
    try:
        folders.verify(folder, checkpoint.digest)
        config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    except (folders.CheckpointError, OSError, ValueError) as error:
        raise ModelUnavailable(f"Model {checkpoint.name}: {error}") from error
    model = Model(checkpoint=checkpoint, pipeline=_pipeline(checkpoint, folder, device), scheduler_config=dict(config))
    log.info("Loaded model %s from %s on %s.", checkpoint.name, folder, device.name)
    return model


def weigh(checkpoint: Checkpoint) -> int:
    """Bytes of its weights on disk, which is about what it takes in memory; 0 for what is not here yet, or cannot be
    looked at. It is asked amid others' drawings, and loading it says what is wrong, to its own alone."""
    try:
        folder = _here(checkpoint)
        return 0 if folder is None else sum(map(_size, folder.rglob("*.safetensors")))
    except (OSError, ValueError, RuntimeError):  # a folder that is being moved; a name no hub has, a home nobody has
        return 0


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # a link to nowhere, or it was there a moment ago
        return 0


def _here(checkpoint: Checkpoint) -> Path | None:
    """Its folder on this machine: a local one, or in the hub's cache. Nothing is fetched."""
    folder = Path(checkpoint.source).expanduser()
    if folder.is_dir():
        return folder
    if not HUB_ID.fullmatch(checkpoint.source):
        return None
    index = huggingface_hub.try_to_load_from_cache(
        checkpoint.source, "model_index.json", revision=checkpoint.revision or None
    )
    return Path(index).parent if isinstance(index, str) else None


def fetch_from_hub(checkpoint: Checkpoint) -> str:
    """The folder of the hub's cache that holds it, downloaded where it is not there yet."""
    folder = diffusers.DiffusionPipeline.download(
        checkpoint.source, revision=checkpoint.revision or None, use_safetensors=True
    )
    return str(folder)


def locate(checkpoint: Checkpoint, fetch: Callable[[Checkpoint], str] = fetch_from_hub) -> Path:
    """The folder of a checkpoint: a local one, or else the hub's."""
    folder = Path(checkpoint.source).expanduser()
    if folder.exists() or not HUB_ID.fullmatch(checkpoint.source):
        return folder
    try:
        return Path(fetch(checkpoint))
    except (OSError, ValueError) as error:
        raise _unavailable(checkpoint, error) from error


def _unavailable(checkpoint: Checkpoint, error: Exception) -> ModelUnavailable:
    unreachable = isinstance(error, hub.LocalEntryNotFoundError) or not isinstance(error, NOT_THERE)
    if unreachable:
        said = f"{checkpoint.source} could not be fetched from the hub: {error}"
    else:
        said = (
            f"there is no folder {checkpoint.source}, nor such a model on the hub with revision "
            f"{checkpoint.revision or 'main'} and safetensors weights."
        )
    return ModelUnavailable(f"Model {checkpoint.name}: {said}", permanent=not unreachable)


def _pipeline(checkpoint: Checkpoint, folder: Path, device: Device) -> Any:
    # A checkpoint's own checker would hand out black pictures; what may be shown is moderation's to decide.
    unwanted = {"safety_checker": None} if "safety_checker" in folders.read_index(folder) else {}
    try:
        with LOADING:
            pipeline = diffusers.DiffusionPipeline.from_pretrained(
                folder, dtype=device.dtype, use_safetensors=True, local_files_only=True, **unwanted
            ).to(device.name)
    except Exception as error:
        if is_out_of_memory(error) or is_device_lost(error):
            raise
        # Many libraries read these files and each has errors of its own; all of them mean: not loadable.
        raise ModelUnavailable(
            f"Model {checkpoint.name}: {folder} could not be loaded ({type(error).__name__}: {error}). "
            "Its files are damaged or incomplete: restore them."
        ) from error
    missing = [name for name in NEEDED if name not in inspect.signature(pipeline.__call__).parameters]
    if missing:
        raise ModelUnavailable(
            f"Model {checkpoint.name} cannot be served: {type(pipeline).__name__} takes no {missing[0]}."
        )
    pipeline.set_progress_bar_config(disable=True)
    if device.compiler and hasattr(pipeline, "unet"):
        pipeline.unet.compile(backend=device.compiler, dynamic=False)  # at its first call of each size
    return pipeline
