"""Only a process that draws pays for torch."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "generation.samplers",
        "generation.checkpoint",
        "generation.pictures",
        "generation.engine",
        "generation.engine.protocol",
        "generation.engine.choose",
        "generation.engine.fit",
    ],
)
def test_torch_is_not_loaded(module: str) -> None:
    probe = f"import sys, {module}; assert not {{'torch', 'diffusers', 'transformers', 'django'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", probe], check=True, env={"PYTHONPATH": "platform:."})
