"""What drew a picture, for its receipt: the libraries and the arithmetic that decide its last digits."""

from functools import cache

import diffusers
import torch
import transformers

from easel import __version__
from generation.engine.device import Device


@cache
def versions(device: Device) -> dict[str, str]:
    return {
        "easel": __version__,
        "torch": str(torch.__version__),
        "diffusers": str(diffusers.__version__),
        "transformers": str(transformers.__version__),
        "device": torch.device(device.name).type,
        "dtype": str(device.dtype).removeprefix("torch."),
    }
