"""The training computes in bfloat16 only where the processor does."""

import pytest
import torch

from starter.precision import DTYPE, computes_half, reduced


@pytest.mark.parametrize(
    "abilities",
    [
        {"architecture": "x86_64", "avx2": True},
        {"architecture": "x86_64", "avx2": True, "avx512_f": True, "avx512_bf16": False},
        {"architecture": "aarch64", "bf16": False},
        {},
    ],
)
def test_a_processor_that_would_imitate_it_computes_in_float32(abilities):
    assert not computes_half(abilities)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_processor_that_can_computes_in_bfloat16(name):
    assert computes_half({"avx2": True, name: True})


def test_what_runs_in_it_has_the_precision_of_this_machine():
    a = torch.ones(2, 2)
    with reduced():
        assert (a @ a).dtype == DTYPE
