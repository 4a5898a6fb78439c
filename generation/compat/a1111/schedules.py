"""Samplers and schedules, which AUTOMATIC1111 names apart since its version 1.9 and together before."""

from collections.abc import Mapping
from typing import Any, Final

from generation.samplers import SAMPLERS

AUTOMATIC: Final = "automatic"
SCHEDULES: Final[Mapping[str, str]] = {  # their name → the label that our samplers' names end with
    AUTOMATIC: "",
    "karras": "Karras",
    "exponential": "Exponential",
    "beta": "Beta",
    "sgm_uniform": "SGM Uniform",
    "simple": "SGM Uniform",  # they differ by rounding
}
USUAL: Final = "Euler"
_ENDINGS: Final = tuple(f" {label.casefold()}" for label in {*SCHEDULES.values(), "Simple"} if label)


def joined(sampler: Any, schedule: Any) -> Any:
    """Our name for both; a schedule in the sampler's name goes before one that is named apart, as it does there. A name
    nobody knows is passed on, for the sampler's own error."""
    name = USUAL if sampler is None else sampler
    if schedule is None or not isinstance(name, str) or not isinstance(schedule, str):
        return name
    if name.casefold().endswith(_ENDINGS):
        return name
    label = SCHEDULES.get("_".join(schedule.casefold().split()), schedule)
    return f"{name} {label}".strip()


def samplers() -> list[dict[str, Any]]:
    return [{"name": each.name, "aliases": [each.name.casefold()], "options": {}} for each in SAMPLERS]


def schedules() -> list[dict[str, Any]]:
    return [
        {"name": name, "label": label or "Automatic", "aliases": None, "default_rho": -1, "need_inner_model": False}
        for name, label in SCHEDULES.items()
    ]
