"""`make check` runs the contracts; here it is made sure that nobody opens a door in them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
OURS = ["easel", "tenants", "billing", "moderation", "generation"]

ASKS_FOR = "import {module}, sys; sys.exit(bool({{'torch', 'diffusers', 'transformers'}} & set(sys.modules)))"


def test_no_contract_ignores_an_import() -> None:
    assert RULES["contracts"]
    for contract in RULES["contracts"]:
        assert "ignore_imports" not in contract, contract["name"]
        assert contract.get("unmatched_ignore_imports_alerting", "error") == "error"


def test_every_app_is_under_the_rules() -> None:
    assert set(RULES["root_packages"]) >= set(OURS)
    layers = next(
        contract["layers"]
        for contract in RULES["contracts"]
        if "containers" not in contract and contract["type"] == "layers"
    )
    assert [name for layer in layers for name in layer.split(" | ")] == [
        "generation",
        "billing",
        "moderation",
        "tenants",
        "easel",
    ]


def test_the_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", ["easel.asgi", "generation.api", "easel.clock", "easel.embedded.stack"])
def test_only_the_worker_loads_torch(module: str) -> None:
    set_up = "import django; django.setup(); " if module != "easel.embedded.stack" else ""
    done = subprocess.run(
        [sys.executable, "-c", set_up + ASKS_FOR.format(module=module)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr or f"{module} loads torch"
