"""The cast of the engine's tests: one tiny model and one engine, of one thread so that numbers repeat exactly."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint
from tests import tiny


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Given back at the end: other tests' libraries count on numbers that are not flushed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the tiny model; read only."""
    return tiny.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def checkpoint(folder: Path) -> Checkpoint:
    return Checkpoint(name="tiny", source=str(folder))


@pytest.fixture(scope="session")
def engine() -> Iterator[LoopEngine]:
    engine = LoopEngine(device="cpu", threads=1, models_held=2)
    yield engine
    engine.close()
