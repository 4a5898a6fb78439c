"""Where an image starts from: nothing but noise, or a given picture that noise is laid over, or parts of one."""

from dataclasses import dataclass

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image as Pictures
from torch import Tensor

from generation.engine.families.family import Family
from generation.engine.fit import cover, stretch
from generation.engine.protocol import Drawing, EngineError, Pixels

HALF = 128  # of 255: a mask's gray from here on is white


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Latents are (1, c, h, w). `order` of throwing the dice is that of diffusers' pipelines, so that the same seed
    gives the same picture."""

    noise: Tensor
    image: Tensor | None = None  # the given picture's latents
    redrawn: Tensor | None = None  # (1, 1, h, w): 1 where the picture is drawn anew, 0 where it is put back
    beside: Tensor | None = None  # (1, c + 1, h, w): mask and masked picture, for a model that wants to see them
    skipped: int = 0  # first steps that are not made
    from_noise: bool = True  # begin with noise alone, though there may be a picture


def origin_of(family: Family, drawing: Drawing, width: int, height: int, generator: torch.Generator) -> Origin:
    """`width` and `height` are the drawn picture's. Raises EngineError where the model cannot do it."""
    if drawing.init_image is None:
        return _from_nothing(family, width, height, generator)
    skipped = drawing.steps - drawing.planned_steps
    picture = _signal(_given(drawing.init_image, drawing, width, height), family)
    if drawing.mask is None:
        if family.sees_mask:
            detail = "This model draws into pictures: it needs a mask."
            raise EngineError("mask_needed", detail, permanent=True)
        image = family.encode_image(picture, generator)
        return Origin(noise=_noise(family, width, height, generator), image=image, skipped=skipped, from_noise=False)
    white = _white(_given(drawing.mask, drawing, width, height), family)
    return _into_picture(family, picture, white, skipped, generator, from_noise=drawing.strength == 1)


def _given(pixels: Pixels, drawing: Drawing, width: int, height: int) -> Pixels:
    """Of the shape that was asked for, and stretched where the model draws another (`finish` stretches it back)."""
    if not drawing.checkpoint.native_size:
        return cover(pixels, width, height)
    return stretch(cover(pixels, drawing.width, drawing.height), width, height)


def _from_nothing(family: Family, width: int, height: int, generator: torch.Generator) -> Origin:
    noise = _noise(family, width, height, generator)
    if not family.sees_mask:
        return Origin(noise=noise)
    # All of a gray picture is to be drawn anew.
    white = torch.ones((1, 1, height, width), device=family.device)
    gray = torch.zeros((1, 3, height, width), device=family.device)
    return Origin(noise=noise, beside=_beside(family, gray, white, generator))


def _into_picture(
    family: Family, picture: Tensor, white: Tensor, skipped: int, generator: torch.Generator, *, from_noise: bool
) -> Origin:
    height, width = picture.shape[-2:]
    image = None if family.sees_mask and from_noise else family.encode_image(picture, generator)
    noise = _noise(family, width, height, generator)
    if family.sees_mask:
        beside = _beside(family, picture, white, generator)
        return Origin(noise=noise, image=image, beside=beside, skipped=skipped, from_noise=from_noise)
    family.skip_encoding(width, height, generator)  # diffusers encodes the masked picture here, and makes no use of it
    return Origin(noise=noise, image=image, redrawn=_small(white, family), skipped=skipped, from_noise=from_noise)


def _beside(family: Family, picture: Tensor, white: Tensor, generator: torch.Generator) -> Tensor:
    masked = family.encode_image(picture * (white < 0.5), generator)
    return torch.cat([_small(white, family), masked], dim=1)


def _small(white: Tensor, family: Family) -> Tensor:
    height, width = white.shape[-2] // family.scale, white.shape[-1] // family.scale
    # In the latents' numbers: wider ones would widen the latents at the first step, which the model then refuses.
    return torch.nn.functional.interpolate(white, size=(height, width)).to(family.dtype)


def _noise(family: Family, width: int, height: int, generator: torch.Generator) -> Tensor:
    shape = family.latent_shape(width, height)
    noise: Tensor = randn_tensor(shape, generator=generator, device=family.device, dtype=family.dtype)
    return noise


def _signal(pixels: Pixels, family: Family) -> Tensor:
    """(h, w, 3) from 0 to 255 → (1, 3, h, w) from -1 to 1."""
    values = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
    return (values * 2 - 1).to(family.device)


def _white(mask: Pixels, family: Family) -> Tensor:
    """(1, 1, h, w): 1 where the mask is white."""
    gray = np.asarray(Pictures.fromarray(mask).convert("L"))
    return torch.from_numpy((gray >= HALF).astype(np.float32))[None, None].to(family.device)
