"""One image's own way from its origin to a picture: its latents, its solver, its dice. It knows of no other image."""

import inspect
from typing import Any

import torch
from torch import Tensor

from generation.engine.origin import Origin


class Sampling:
    """`latents` is (1, c, h, w). A solver remembers earlier steps and the dice their throws, so neither is shared."""

    def __init__(self, scheduler: Any, steps: int, origin: Origin, generator: torch.Generator) -> None:
        scheduler.set_timesteps(steps)
        begin = origin.skipped * scheduler.order
        if begin and hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(begin)
        self._scheduler, self._origin = scheduler, origin
        self._timesteps = scheduler.timesteps[begin:]
        self._dice = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
        self._steps, self._stopped = steps - origin.skipped, False
        self._said: tuple[Tensor, Tensor] | None = None
        self.latents = self._beginning()
        self.calls = len(self._timesteps)  # of the model, which can be more than steps
        self.done = 0

    @property
    def finished(self) -> bool:
        return self._stopped or self.done >= self.calls

    @property
    def steps_done(self) -> int:
        """In steps, of which some solvers make one with two calls of the model, and one makes a call more."""
        return min(-(-self.done // int(self._scheduler.order)), self._steps)

    @property
    def timestep(self) -> float:
        return float(self._timesteps[self.done])

    @property
    def beside(self) -> Tensor | None:
        """What the model is to see beside the latents: (1, k, h, w)."""
        return self._origin.beside

    def model_input(self) -> Tensor:
        """The latents scaled as the model wants them at this timestep."""
        scaled: Tensor = self._scheduler.scale_model_input(self.latents, self._timesteps[self.done])
        return scaled

    def step(self, prediction: Tensor) -> None:
        """Go on by what the model said of `model_input`, (1, c, h, w)."""
        timestep = self._timesteps[self.done]
        self._said = (self.model_input(), prediction)
        self.latents = self._scheduler.step(prediction, timestep, self.latents, return_dict=False, **self._dice)[0]
        self.done += 1
        self._put_back()

    def stop_here(self) -> None:
        """Take the model's last word for the finished latents: a step that goes all the way."""
        self.latents = self.clean()
        self._stopped = True
        self._put_back()

    def clean(self) -> Tensor:
        """What the finished latents would be, by the model's last word: (1, c, h, w). To be asked after a step."""
        if self._said is None:
            raise RuntimeError("No step was made yet.")
        seen, said = self._said
        kind = self._scheduler.config.prediction_type
        if kind == "sample":
            return said
        signal, noise = self._mix(float(self._timesteps[self.done - 1]))
        # Whatever the solver, what the model saw was `signal` x clean + `noise` x noise.
        clean: Tensor = signal * seen - noise * said if kind == "v_prediction" else (seen - noise * said) / signal
        return clean

    def _mix(self, timestep: float) -> tuple[float, float]:
        """Shares of signal and noise at a timestep, also between two of the training's: their squares add up to 1."""
        shares = self._scheduler.alphas_cumprod
        below = min(max(int(timestep), 0), len(shares) - 1)
        above = min(below + 1, len(shares) - 1)
        kept = torch.lerp(shares[below].double(), shares[above].double(), timestep - int(timestep)).clamp(1e-6, 1)
        return float(kept.sqrt()), float((1 - kept).sqrt())

    def _beginning(self) -> Tensor:
        origin = self._origin
        if origin.image is None or origin.from_noise:
            latents: Tensor = origin.noise * self._scheduler.init_noise_sigma
        else:
            latents = self._scheduler.add_noise(origin.image, origin.noise, self._timesteps[:1])
        return latents

    def _put_back(self) -> None:
        """Where nothing is to be drawn, the given picture, as noisy as the rest is now."""
        origin = self._origin
        if origin.redrawn is None or origin.image is None:
            return
        given = origin.image
        if not self.finished:
            given = self._scheduler.add_noise(given, origin.noise, self._timesteps[self.done : self.done + 1])
        self.latents = (1 - origin.redrawn) * given + origin.redrawn * self.latents
