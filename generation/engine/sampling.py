"""One image's own way from noise to a picture: its latents, its solver, its dice. It knows of no other image."""

import inspect
from typing import Any

import torch
from torch import Tensor


class Sampling:
    """`latents` is (1, c, h, w). A solver remembers earlier steps and the dice their throws, so neither is shared."""

    def __init__(self, scheduler: Any, steps: int, noise: Tensor, generator: torch.Generator) -> None:
        scheduler.set_timesteps(steps)
        self._scheduler = scheduler
        self._dice = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
        self.latents: Tensor = noise * scheduler.init_noise_sigma
        self.calls = len(scheduler.timesteps)  # of the model, which can be more than steps
        self.done = 0

    @property
    def finished(self) -> bool:
        return self.done >= self.calls

    @property
    def timestep(self) -> float:
        return float(self._scheduler.timesteps[self.done])

    def model_input(self) -> Tensor:
        """The latents scaled as the model wants them at this timestep."""
        scaled: Tensor = self._scheduler.scale_model_input(self.latents, self._scheduler.timesteps[self.done])
        return scaled

    def step(self, prediction: Tensor) -> None:
        """Go on by what the model said of `model_input`, (1, c, h, w)."""
        timestep = self._scheduler.timesteps[self.done]
        self.latents = self._scheduler.step(prediction, timestep, self.latents, return_dict=False, **self._dice)[0]
        self.done += 1
