"""Each sampler draws what plain diffusers draws with the scheduler its users would build by hand."""

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from generation.engine.protocol import Checkpoint, Engine
from generation.samplers import SAMPLERS, Sampler
from tests.engine.asking import TOLERANCE, draw, farthest

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

TRAINED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
SOLVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "DPM++ 2M SDE Heun": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"},
    ),
    "DPM++ 3M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}),
    "DPM++ SDE": (
        "DPMSolverSinglestepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "lower_order_final": True},
    ),
    "Heun": ("HeunDiscreteScheduler", {}),
    "DPM2": ("KDPM2DiscreteScheduler", {}),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
    "LMS": ("LMSDiscreteScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "DDIM": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
    "PLMS": ("PNDMScheduler", {"skip_prk_steps": True}),
    "LCM": ("LCMScheduler", {}),
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "": {},
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"use_exponential_sigmas": True},
    "Beta": {"use_beta_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
}


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Any:
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_the_same_pixels(sampler: Sampler, pipeline: Any, engine: Engine, checkpoint: Checkpoint) -> None:
    kind, options = SOLVERS[sampler.solver]
    trained = TRAINED if "Singlestep" not in kind else {key: TRAINED[key] for key in TRAINED if key != "steps_offset"}
    pipeline.scheduler = getattr(diffusers, kind)(**{**trained, **options, **SCHEDULES[sampler.schedule]})
    reference = pipeline(
        "a red apple",
        negative_prompt="blue",
        num_inference_steps=5,
        guidance_scale=5.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(11),
    ).images[0]

    drawn = draw(
        engine,
        checkpoint,
        prompt="a red apple",
        negative_prompt="blue",
        steps=5,
        cfg_scale=5.0,
        sampler=sampler.name,
        seed=11,
    )

    assert farthest(drawn.pixels, np.asarray(reference)) <= TOLERANCE
    assert drawn.pixels.std() > 10  # a flat picture would equal any other


def test_the_samplers_differ_from_each_other(engine: Engine, checkpoint: Checkpoint) -> None:
    names = ("Euler", "Euler a", "DPM++ 2M Karras", "DPM++ SDE", "DDIM", "LCM")
    pictures = {draw(engine, checkpoint, sampler=name).pixels.tobytes() for name in names}
    assert len(pictures) == len(names)
