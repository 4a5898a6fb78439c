"""With a model that knows the answer, every sampler arrives at it, whatever noise the model was trained with."""

import inspect
from typing import Any

import pytest
import torch

from generation.engine.samplers import scheduler_for
from generation.samplers import SAMPLERS, Sampler
from tests.engine.trained import LIKE_STABLE_DIFFUSION, ZERO_TERMINAL_SNR

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

ANSWER = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5)) / 2


def all_knowing(scheduler: Any, noisy: torch.Tensor, timestep: torch.Tensor) -> Any:
    """What a perfect model predicts: the noise between the answer and `noisy`, or the velocity."""
    kept = scheduler.alphas_cumprod[int(timestep.round())]
    noise = (noisy - kept.sqrt() * ANSWER) / (1 - kept).sqrt()
    if scheduler.config.prediction_type == "v_prediction":
        return kept.sqrt() * noise - (1 - kept).sqrt() * ANSWER
    return noise


@pytest.mark.parametrize("config", [LIKE_STABLE_DIFFUSION, ZERO_TERMINAL_SNR], ids=["ordinary", "zero terminal SNR"])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
@pytest.mark.parametrize("many", [False, True], ids=["few steps", "many steps"])
def test_it_arrives_at_the_answer(many: bool, sampler: Sampler, config: dict[str, Any]) -> None:
    # Linear multistep becomes unstable on uneven schedules of more steps than these, here as elsewhere.
    steps = (30 if sampler.solver == "LMS" else 50) if many else 2
    scheduler = scheduler_for(sampler, config, steps)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(0)
    dice = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    latents = torch.randn(ANSWER.shape, generator=generator) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        prediction = all_knowing(scheduler, scheduler.scale_model_input(latents, timestep), timestep)
        latents = scheduler.step(prediction, timestep, latents, return_dict=False, **dice)[0]
    assert (latents - ANSWER).abs().mean() < 0.3
