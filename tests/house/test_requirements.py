import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "requirements" / "constraints.txt"
REQUIREMENTS = sorted(set((ROOT / "requirements").glob("*.txt")) - {CONSTRAINTS})
PIN = re.compile(r"[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==[A-Za-z0-9.]+")
HEAVY = {"torch", "diffusers", "transformers", "tokenizers", "accelerate", "safetensors", "numpy", "scipy"}


def lines(path: Path) -> list[str]:
    bare = (line.partition(" #")[0].strip() for line in path.read_text().splitlines())
    return [line for line in bare if line and not line.startswith("#")]


def installed_by(path: Path) -> set[str]:
    """The names that installing this file brings, through every `-r`."""
    names: set[str] = set()
    for line in lines(path):
        if line.startswith("-r "):
            names |= installed_by(path.parent / line[3:])
        elif not line.startswith("-c "):
            names.add(re.split(r"[\[=]", line)[0].lower())
    return names


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_requirement_is_an_exact_pin(path: Path) -> None:
    pins = [line for line in lines(path) if not line.startswith(("-r ", "-c "))]
    assert [line for line in pins if not PIN.fullmatch(line)] == []


def test_no_package_is_pinned_twice() -> None:
    pins = [re.split(r"[\[=]", line)[0].lower() for path in REQUIREMENTS for line in lines(path) if line[0] != "-"]
    assert sorted(pins) == sorted(set(pins))


def test_what_the_pins_bring_along_is_pinned_too() -> None:
    """One version of each distribution, the same that the pins name."""
    constrained = dict(line.lower().replace("_", "-").split("==") for line in lines(CONSTRAINTS))
    pinned = [re.sub(r"\[.*\]", "", line).lower().replace("_", "-") for path in REQUIREMENTS for line in lines(path)]
    pins = dict(pin.split("==") for pin in pinned if "==" in pin)
    pins.pop("torch")
    assert {name: constrained.get(name) for name in pins} == pins
    assert len(constrained) > len(pins)


def test_torch_and_its_friends_are_the_workers_alone() -> None:
    holding = {path.name for path in REQUIREMENTS if any(line.split("==")[0] in HEAVY for line in lines(path))}
    assert holding == {"worker.txt"}
    assert installed_by(ROOT / "requirements" / "worker.txt") >= {"torch", "diffusers"}
    assert not installed_by(ROOT / "requirements" / "web.txt") & HEAVY


def test_the_build_backend_is_the_one_that_is_installed() -> None:
    required = re.search(r'requires = \["(hatchling==[^"]+)"\]', (ROOT / "pyproject.toml").read_text())
    assert required
    assert required[1] in lines(ROOT / "requirements" / "build.txt")
