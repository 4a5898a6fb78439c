"""The number of model calls a customer is told and charged for is the number diffusers makes."""

from typing import Any

import pytest
from diffusers import DDIMScheduler

from generation.engine.protocol import EngineError
from generation.engine.samplers import scheduler_for
from generation.samplers import SAMPLERS, Sampler, find
from tests.engine.trained import LIKE_STABLE_DIFFUSION, ZERO_TERMINAL_SNR

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

# Short, odd, even, usual, the longest allowed, and the four where diffusers' own division overshoots.
STEPS = (1, 2, 3, 4, 7, 20, 50, 51, 61, 103, 121, 122, 150)


@pytest.mark.parametrize("config", [LIKE_STABLE_DIFFUSION, ZERO_TERMINAL_SNR], ids=["leading", "trailing"])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_calls_are_the_timesteps_of_the_scheduler(sampler: Sampler, config: dict[str, Any]) -> None:
    scheduler = scheduler_for(sampler, config, max(STEPS))
    for steps in STEPS:
        scheduler.set_timesteps(steps)
        assert len(scheduler.timesteps) == sampler.calls(steps), steps
        assert scheduler.timesteps.min() >= 0, steps


@pytest.mark.parametrize("steps", range(1, 151))
def test_trailing_steps_are_those_of_diffusers_wherever_it_divides_well(steps: int) -> None:
    ours = scheduler_for(find("DDIM"), ZERO_TERMINAL_SNR, steps)
    theirs = DDIMScheduler.from_config(ours.config)
    ours.set_timesteps(steps)
    theirs.set_timesteps(steps)
    assert ours.timesteps.tolist() == theirs.timesteps.tolist()[:steps]


def test_each_drawing_gets_a_scheduler_that_has_seen_none() -> None:
    used = scheduler_for(find("DPM++ 2M"), LIKE_STABLE_DIFFUSION, 20)
    used.set_timesteps(20)
    used.model_outputs[0] = "of another picture"
    fresh = scheduler_for(find("DPM++ 2M"), LIKE_STABLE_DIFFUSION, 20)
    assert (fresh.num_inference_steps, fresh.model_outputs) == (None, [None, None])


def test_what_one_author_liked_does_not_leak_into_other_samplers() -> None:
    liked = {**LIKE_STABLE_DIFFUSION, "use_karras_sigmas": True, "solver_order": 3, "algorithm_type": "sde-dpmsolver++"}
    built = scheduler_for(find("DPM++ 2M"), liked, 20).config
    assert (built.use_karras_sigmas, built.solver_order, built.algorithm_type) == (False, 2, "dpmsolver++")


def test_what_the_model_was_trained_with_is_kept() -> None:
    built = scheduler_for(find("Euler"), ZERO_TERMINAL_SNR, 20).config
    assert (built.prediction_type, built.rescale_betas_zero_snr) == ("v_prediction", True)
    assert (built.timestep_spacing, built.beta_schedule) == ("trailing", "scaled_linear")


@pytest.mark.parametrize(
    "config",
    [
        {"_class_name": "FlowMatchEulerDiscreteScheduler"},
        {"_class_name": "DPMSolverMultistepScheduler", "prediction_type": "flow_prediction", "use_flow_sigmas": True},
        {"_class_name": "EDMEulerScheduler"},
        {"_class_name": "EDMDPMSolverMultistepScheduler"},
    ],
)
@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M"])
def test_a_model_of_another_kind_of_noise_is_refused_rather_than_drawn_wrongly(
    sampler: str, config: dict[str, Any]
) -> None:
    with pytest.raises(EngineError) as refusal:
        scheduler_for(find(sampler), config, 20)
    assert (refusal.value.code, refusal.value.permanent) == ("sampler_unsupported", True)
