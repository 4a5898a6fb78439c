"""bfloat16 where the processor computes in it. Elsewhere oneDNN imitates it: a convolution then takes ten
times as long as in float32 (AVX2; three times with AVX-512 alone), and the training would not end.
"""

import torch

INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # bf16: ARM


def computes_half(abilities: dict[str, object]) -> bool:
    """`abilities` as `torch.cpu.get_capabilities` tells them."""
    return any(abilities.get(name) for name in INSTRUCTIONS)


DTYPE = torch.bfloat16 if computes_half(torch.cpu.get_capabilities()) else torch.float32


def reduced() -> torch.autocast:
    """What runs in it computes in `DTYPE`."""
    return torch.autocast("cpu", torch.bfloat16, enabled=DTYPE is torch.bfloat16)
