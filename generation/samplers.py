"""The samplers customers may name, by AUTOMATIC1111's names, as the noise solvers they are; without torch."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

# DPM fast and DPM adaptive choose their own number of steps, so they can be neither priced nor batched.
REFUSED = ("DPM fast", "DPM adaptive")

_KARRAS = ("Karras", {"use_karras_sigmas": True})
_EXPONENTIAL = ("Exponential", {"use_exponential_sigmas": True})
_BETA = ("Beta", {"use_beta_sigmas": True})
_SGM_UNIFORM = ("SGM Uniform", {"timestep_spacing": "trailing"})
_SIGMAS = (_KARRAS, _EXPONENTIAL, _BETA)
_SWITCHES = {option for _, chosen in _SIGMAS for option in chosen}


class UnknownSampler(ValueError):
    """The name is none of ours; `valid` lists those that are."""

    def __init__(self, name: str) -> None:
        self.name, self.valid = name, [sampler.name for sampler in SAMPLERS]
        super().__init__(f"There is no sampler {name!r}. Valid names: {', '.join(self.valid)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """A noise solver with its schedule. `scheduler` is a class of diffusers, `options` are its arguments: all
    that the checkpoint's own training does not decide."""

    name: str
    solver: str  # the name without the schedule: "DPM++ 2M" of "DPM++ 2M Karras"
    schedule: str  # "" is the solver's own
    scheduler: str
    options: MappingProxyType[str, Any] = field(hash=False)
    calls_per_step: int = 1
    calls_beyond: int = 0

    def calls(self, steps: int, *, skipped: int = 0) -> int:
        """How often the model runs for so many steps: what progress counts and the price is made of. `skipped` are the
        first ones, which a given picture stands in for."""
        whole = 1 if steps == 1 else steps * self.calls_per_step + self.calls_beyond
        return whole - skipped * self.calls_per_step


def find(name: str) -> Sampler:
    """The sampler of this name, whatever its case and spaces; raises UnknownSampler."""
    try:
        return _BY_KEY[_key(name)]
    except KeyError:
        raise UnknownSampler(name) from None


def _key(name: str) -> str:
    # A1111's "Simple" and "SGM Uniform" differ by rounding, and diffusers has one spacing for both.
    return "".join(name.casefold().split()).replace("simple", "sgmuniform")


@dataclass(frozen=True, slots=True)
class _Solver:
    name: str
    scheduler: str
    options: dict[str, Any] = field(default_factory=dict)
    schedules: tuple[tuple[str, dict[str, Any]], ...] = (*_SIGMAS, _SGM_UNIFORM)
    calls: tuple[int, int] = (1, 0)

    def samplers(self) -> Iterator[Sampler]:
        # Said explicitly, off as well as on, so that no default of a later diffusers decides.
        switches = {option: False for _, chosen in self.schedules for option in chosen if option in _SWITCHES}
        for schedule, chosen in (("", {}), *self.schedules):
            yield Sampler(
                name=f"{self.name} {schedule}".strip(),
                solver=self.name,
                schedule=schedule,
                scheduler=self.scheduler,
                options=MappingProxyType({**switches, **self.options, **chosen}),
                calls_per_step=self.calls[0],
                calls_beyond=self.calls[1],
            )


# Heun and DPM2 look twice at every step but the last; PLMS warms up with one call more.
_TWICE, _ONE_MORE = (2, -1), (1, 1)
_MULTISTEP, _SDE = "DPMSolverMultistepScheduler", "sde-dpmsolver++"
_SOLVERS = (
    _Solver("DPM++ 2M", _MULTISTEP, {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    _Solver("DPM++ 2M SDE", _MULTISTEP, {"algorithm_type": _SDE, "solver_order": 2}),
    _Solver("DPM++ 2M SDE Heun", _MULTISTEP, {"algorithm_type": _SDE, "solver_order": 2, "solver_type": "heun"}),
    _Solver("DPM++ 3M SDE", _MULTISTEP, {"algorithm_type": _SDE, "solver_order": 3}),
    _Solver(
        "DPM++ SDE",
        "DPMSolverSinglestepScheduler",
        {"algorithm_type": _SDE, "lower_order_final": True},  # an odd number of steps needs it
        _SIGMAS,  # it knows no timestep spacing
    ),
    _Solver("Euler a", "EulerAncestralDiscreteScheduler", schedules=(_SGM_UNIFORM,)),
    _Solver("Euler", "EulerDiscreteScheduler"),
    _Solver("Heun", "HeunDiscreteScheduler", calls=_TWICE),
    _Solver("LMS", "LMSDiscreteScheduler"),
    _Solver("DPM2", "KDPM2DiscreteScheduler", calls=_TWICE),
    _Solver("DPM2 a", "KDPM2AncestralDiscreteScheduler", calls=_TWICE),
    _Solver("UniPC", "UniPCMultistepScheduler"),
    # Without the keys, DDIM would clip latents to ±1 as if they were pixels.
    _Solver("DDIM", "DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}, ()),
    _Solver("PLMS", "PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False}, (), _ONE_MORE),
    _Solver("LCM", "LCMScheduler", {"clip_sample": False}, ()),
)
SAMPLERS: tuple[Sampler, ...] = tuple(sampler for solver in _SOLVERS for sampler in solver.samplers())
_BY_KEY = {_key(sampler.name): sampler for sampler in SAMPLERS}
