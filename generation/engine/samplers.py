"""From a sampler of the table to a scheduler of diffusers, built anew for every drawing."""

import inspect
import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache, lru_cache
from typing import Any

import diffusers
import numpy as np

from generation.engine.protocol import Drawing, EngineError
from generation.samplers import Sampler, UnknownSampler, find

# What the checkpoint was trained with. Only these are taken from its scheduler's file: whatever else is in it
# (Karras sigmas, solver orders, clipping) belongs to the sampler its author liked.
TRAINED_WITH = frozenset(
    {
        "beta_end",
        "beta_schedule",
        "beta_start",
        "num_train_timesteps",
        "prediction_type",
        "rescale_betas_zero_snr",
        "steps_offset",
        "timestep_spacing",
        "trained_betas",
    }
)


def scheduler_of(drawing: Drawing, config: Mapping[str, Any]) -> Any:
    """A fresh scheduler for a drawing of the checkpoint with this scheduler file."""
    try:
        return scheduler_for(find(drawing.sampler), config, drawing.steps)
    except UnknownSampler as error:
        raise EngineError("sampler_unknown", str(error), permanent=True) from error


def scheduler_for(sampler: Sampler, config: Mapping[str, Any], steps: int) -> Any:
    """A fresh scheduler. `config` is the checkpoint's scheduler file; where its model was trained on another kind of
    noise than the samplers take away, it is refused."""
    trained_by = str(config.get("_class_name", ""))
    if "Flow" in trained_by or config.get("prediction_type") == "flow_prediction":
        raise EngineError("sampler_unsupported", "This model solves a flow, and no sampler does.", permanent=True)
    if trained_by.startswith("EDM"):
        detail = "This model was trained with EDM's scaling of noise, which no sampler knows."
        raise EngineError("sampler_unsupported", detail, permanent=True)
    trained = {key: value for key, value in config.items() if key in TRAINED_WITH}
    return deepcopy(_untouched(sampler, json.dumps(trained, sort_keys=True), _room_for(sampler, steps)))


@lru_cache(maxsize=256)
def _untouched(sampler: Sampler, trained: str, room: tuple[tuple[str, int], ...]) -> Any:
    """Never handed out itself: it would remember the drawing. Building one can take 0.2 s (DPM2), a copy 0.5 ms."""
    theirs = getattr(diffusers, sampler.scheduler)
    understood = inspect.signature(theirs.__init__).parameters
    known = {key: value for key, value in json.loads(trained).items() if key in understood}
    return _mended(theirs)(**{**known, **sampler.options, **dict(room)})


@cache
def _mended(theirs: type[Any]) -> type[Any]:
    """The scheduler class, except that it makes exactly the steps asked for and begins with the first.

    A scheduler looks for its place by the first timestep. Where rounding made several of them equal, as Karras and
    Beta do with zero terminal SNR from 30 steps on, it begins with the second, and at last runs out of its table."""

    def set_timesteps(self: Any, num_inference_steps: int, *rest: Any, **more: Any) -> None:
        theirs.set_timesteps(self, WholeSteps(num_inference_steps), *rest, **more)
        if hasattr(self, "set_begin_index"):
            self.set_begin_index(0)

    return type(theirs.__name__, (theirs,), {"set_timesteps": set_timesteps})


class WholeSteps(int):
    """A number of steps that "trailing" spacing really yields.

    diffusers spaces by `np.arange(1000, 0, -1000 / steps)`. For 61, 103, 121 and 122 steps the rounding of
    that division leaves room for one timestep more, -1: a call too many, and the noisiest of all to DDIM.
    """

    def __rtruediv__(self, whole: float) -> float:
        ratio = whole / int(self)
        return ratio * (1 + 1e-12) if len(np.arange(whole, 0, -ratio)) > self else ratio


def _room_for(sampler: Sampler, steps: int) -> tuple[tuple[str, int], ...]:
    """LCM picks its steps out of the 50 it was distilled with, and raises when asked for more."""
    return (("original_inference_steps", max(50, steps)),) if sampler.scheduler == "LCMScheduler" else ()
