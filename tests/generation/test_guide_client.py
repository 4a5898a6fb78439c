"""The example client, as it stands in the repository, against the real processes."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as PILImage

from easel.database import platform_role
from easel.embedded.stack import Stack
from generation.models import Model
from generation.pictures import read_parameters
from tests.cast import Customer
from tests.generation.conftest import make_workshop

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def default_model(stack: Stack, tiny_folder: Path) -> Iterator[Model]:
    """The example names no model, so the default one draws it; native size, so that 1024x768 is quick to draw."""
    model = make_workshop(str(tiny_folder), native_size=64, is_default=True).model
    with platform_role():  # of other tests: none of them is to get the prompt by its category
        sent = dict(Model.objects.exclude(categories=[]).values_list("id", "categories"))
        Model.objects.filter(id__in=sent).update(categories=[])
    stack.start("web")
    stack.start("worker", extra={"EASEL_POOLS": model.pool.name, "EASEL_TORCH_THREADS": "1", "EASEL_DEVICE": "cpu"})
    yield model
    stack.halt("worker", "web")
    with platform_role():
        Model.objects.filter(id=model.id).update(is_default=False)
        for id_, categories in sent.items():
            Model.objects.filter(id=id_).update(categories=categories)


def run(stack: Stack, target: Path, *, key: str, secret: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"EASEL_URL": stack.base_url, "EASEL_API_KEY": key, "EASEL_API_SECRET": secret}
    command = [sys.executable, str(ROOT / "examples" / "async_client.py"), str(target)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.usefixtures("default_model")
def test_it_draws_what_it_asks_for(ada: Customer, stack: Stack, tmp_path: Path) -> None:
    target = tmp_path / "city.png"
    done = run(stack, target, key=ada.key.public_id, secret=ada.secret)
    assert done.returncode == 0, done.stderr
    file = target.read_bytes()
    assert PILImage.open(io.BytesIO(file)).size == (1024, 768)
    parameters = str(read_parameters(file))
    assert parameters.startswith("Steps: 30, Sampler: Euler a")  # the prompt stays out of files, unless a tenant asks


@pytest.mark.usefixtures("default_model")
def test_a_wrong_secret_is_refused(ada: Customer, stack: Stack, tmp_path: Path) -> None:
    done = run(stack, tmp_path / "none.png", key=ada.key.public_id, secret="es_wrong" + "0" * 40)
    assert done.returncode != 0
    assert "401" in done.stderr
    assert not (tmp_path / "none.png").exists()
