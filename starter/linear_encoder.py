"""The encoder is not trained: a tree of principal components, set in closed form, so latents exist at once.

Five stride-2 convolutions each keep the strongest components of 2x2 patches of the level below; the last one
takes the 24 strongest of a 32x32 patch and whitens them partly.
"""

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import nn

STD = 0.5  # of all latents: the decoder limits its input by tanh(z / 3) * 3
# 0 leaves the components their natural size, 1 gives every component the same. In between, the UNet's loss
# weighs what the eye sees first (large areas) above fine detail without drowning the detail.
WHITENING = 0.45


@torch.no_grad()
def set_linear_encoder(vae: AutoencoderTiny, pictures: torch.Tensor) -> None:
    """Fit to `pictures` [n, 3, 256, 256] in 0..1."""
    convolutions = [m for m in vae.encoder.layers if isinstance(m, nn.Conv2d)]
    first, levels, last = convolutions[0], convolutions[1:-1], convolutions[-1]
    for convolution in convolutions:
        convolution.weight.zero_()
        if convolution.bias is not None:
            convolution.bias.zero_()
    assert first.bias is not None
    for channel in range(3):
        first.weight[channel, channel, 1, 1] = 1
        first.bias[channel] = -0.5
    features = pictures - 0.5
    for level in levels:
        features = fit_level(level, features)
    fit_last(last, features)


def fit_level(convolution: nn.Conv2d, features: torch.Tensor) -> torch.Tensor:
    """Principal components of 2x2 patches, in the lower right of a 3x3 kernel; returns the next level's
    features.
    """
    channels = features.shape[1]
    patches = F.unfold(features, 2, stride=2).transpose(1, 2).reshape(-1, channels * 4)
    kept = min(convolution.out_channels, channels * 4)
    _, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    components = vectors[:, -kept:].flip(1).T.reshape(kept, channels, 2, 2)
    convolution.weight[:kept, :channels, 1:, 1:] = components
    return F.conv2d(features, components, stride=2)


def fit_last(convolution: nn.Conv2d, features: torch.Tensor) -> None:
    count = convolution.out_channels
    values = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
    mean = values.mean(0)
    eigenvalues, vectors = torch.linalg.eigh((values - mean).T @ (values - mean) / len(values))
    sizes = eigenvalues[-count:].flip(0).clamp(min=1e-8).sqrt()
    projection = vectors[:, -count:].flip(1) / sizes**WHITENING
    latents = (values - mean) @ projection
    projection = projection * STD / latents.std()
    convolution.weight[:, : len(mean), 1, 1] = projection.T
    assert convolution.bias is not None
    convolution.bias.copy_(-(mean @ projection))
    spread = (latents.std(0) * STD / latents.std()).tolist()
    print(f"latent std by channel {[round(value, 2) for value in spread]}", flush=True)
