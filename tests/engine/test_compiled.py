"""Settings of a device: number formats, and compiled models with few sizes of calls."""

import pytest
import torch

from generation.engine.device import choose_device
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint, Engine
from tests.engine.asking import TOLERANCE, a_drawing, admit, draw, farthest
from tests.engine.faults import model_calls


def test_number_formats_have_names() -> None:
    assert choose_device("cpu").dtype == torch.float32
    assert choose_device("cpu", dtype="bfloat16").dtype == torch.bfloat16
    with pytest.raises(ValueError, match="EASEL_DTYPE"):
        choose_device("cpu", dtype="int4")


def test_a_compiled_model_is_called_in_few_sizes_and_draws_the_same(engine: Engine, checkpoint: Checkpoint) -> None:
    """Compiled by torch's "eager" backend, which takes the graph and leaves the kernels."""
    compiled = LoopEngine(device="cpu", threads=1, compiler="eager")
    try:
        draw(compiled, checkpoint, steps=1)
        sizes: set[int] = set()
        with model_calls(compiled, checkpoint, before=lambda call: sizes.add(len(call.latents))):
            futures = [admit(compiled, a_drawing(checkpoint, seed=seed, steps=2 + seed)) for seed in range(5)]
            drawn = [future.result(120).pixels for future in futures]
        assert sizes <= {2, 4, 8, 16}  # twice a power of two, for guidance
        for seed, pixels in enumerate(drawn):
            assert farthest(pixels, draw(engine, checkpoint, seed=seed, steps=2 + seed).pixels) <= TOLERANCE
    finally:
        compiled.close()
