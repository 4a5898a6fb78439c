"""Make the autoencoder: 256 px pictures to 8x8x24 latents and back.

The encoder is linear and closed-form (`linear_encoder`). The decoder, a TAESD-like ReLU network, is
trained with Muon from a near-identity start: first without its last doubling, at 128 px and a quarter of
the cost, then whole.
"""

import argparse
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import nn

from starter.linear_encoder import set_linear_encoder
from starter.muon import Muon
from starter.precision import reduced
from starter.recolor import BACKGROUNDS, Floats, Rgba, composite, rotate_hue
from starter.workspace import Workspace

WIDTH, LATENT_CHANNELS = 48, 24
DECODER_BLOCKS = (3, 3, 3, 2, 0, 0)  # a stage each, from 8x8 to 256x256
FITTED_ON = 600  # pictures for the encoder
SMALL_SHARE = 0.4  # of the time, at 128 px
SMALL_BATCH, FULL_BATCH = 16, 4
MUON_RATE, ADAM_RATE = 1.2e-3, 2e-3
LATENT_NOISE = 0.1  # at most; the UNet's latents are never exact
EMA = 0.998
REPORT_EVERY = 50
SAVE_EVERY = 120  # seconds


@dataclass(frozen=True)
class Losses:
    """L1, mean squared error and L1 of the gradients; the last one is what makes edges crisp."""

    l1: torch.Tensor
    squared: torch.Tensor
    gradient: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        return self.l1 + self.squared + 0.5 * self.gradient

    @property
    def psnr(self) -> float:
        return 10 * math.log10(4 / self.squared.item())


def new_vae() -> AutoencoderTiny:
    vae = AutoencoderTiny(
        encoder_block_out_channels=(WIDTH,) * len(DECODER_BLOCKS),
        decoder_block_out_channels=(WIDTH,) * len(DECODER_BLOCKS),
        latent_channels=LATENT_CHANNELS,
        num_encoder_blocks=(0,) * len(DECODER_BLOCKS),
        num_decoder_blocks=DECODER_BLOCKS,
        act_fn="relu",
    )
    start_near_identity(vae.decoder)
    return vae


@torch.no_grad()
def start_near_identity(decoder: nn.Module) -> None:
    for module in layers_of(decoder):
        if type(module).__name__ == "AutoencoderTinyBlock":
            [m for m in module.modules() if isinstance(m, nn.Conv2d)][-1].weight.mul_(0.1)
        elif isinstance(module, nn.Conv2d) and module.in_channels == module.out_channels:
            identity = nn.init.dirac_(torch.empty_like(module.weight))
            module.weight.mul_(0.3).add_(identity)


def layers_of(decoder: nn.Module) -> list[nn.Module]:
    layers = decoder.layers
    assert isinstance(layers, nn.Sequential)
    return list(layers)


def make_encoder(work: Workspace) -> AutoencoderTiny:
    """A new autoencoder with its final encoder, saved: latents need no more."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    _, _, pixels = work.load_pictures()
    chosen = rng.choice(len(pixels), min(FITTED_ON, len(pixels)), replace=False)
    vae = new_vae()
    set_linear_encoder(
        vae,
        torch.from_numpy(np.stack([random_picture(pixels[i], rng) for i in chosen])).permute(0, 3, 1, 2)
        / 255,
    )
    vae.save_pretrained(work.vae)
    return vae


def train_decoder(work: Workspace, *, minutes: float, least_steps: int = 0) -> list[float]:
    """Train the saved decoder for `minutes`, longer if they hold too few steps; returns the losses."""
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    _, _, pixels = work.load_pictures()
    vae = AutoencoderTiny.from_pretrained(work.vae).to(memory_format=torch.channels_last)
    parameters = list(vae.decoder.parameters())
    average = [p.detach().clone() for p in parameters]
    muon, adam = optimizers(vae.decoder)
    history: list[float] = []
    start = saved = time.monotonic()
    while (done := (time.monotonic() - start) / 60 / minutes) < 1 or len(history) < least_steps:
        rate = min(1.0, (len(history) + 1) / 30) * max(0.01, min(1.0, (1 - done) * 2))
        losses = decoder_loss(
            vae, random_batch(pixels, rng, small=done < SMALL_SHARE), small=done < SMALL_SHARE
        )
        torch.autograd.backward(losses.total)
        nn.utils.clip_grad_norm_([p for group in adam.param_groups for p in group["params"]], 1.0)
        for group in adam.param_groups:
            group["lr"] = ADAM_RATE * rate
        adam.step()
        muon.step(MUON_RATE * rate)
        vae.decoder.zero_grad()
        history.append(losses.total.item())
        steps = len(history)
        torch._foreach_lerp_(average, [p.data for p in parameters], 1 - min(EMA, (steps + 1) / (steps + 12)))
        if steps % REPORT_EVERY == 0:
            print(
                f"step {steps} l1 {losses.l1:.4f} psnr {losses.psnr:.2f} left {(1 - done) * minutes:.1f} min",
                flush=True,
            )
            work.log("vae", step=steps, l1=losses.l1.item(), psnr=losses.psnr)
        if time.monotonic() - saved > SAVE_EVERY:
            saved = time.monotonic()
            save_average(work, vae, average)
    save_average(work, vae, average)
    return history


def optimizers(decoder: nn.Module) -> tuple[Muon, torch.optim.AdamW]:
    """Muon for the convolutions, AdamW for the biases and for the layer that makes three colors."""
    inner = [p for p in decoder.parameters() if p.ndim == 4 and p.shape[0] > 3]
    chosen = {id(p) for p in inner}
    outer = [p for p in decoder.parameters() if id(p) not in chosen]
    return Muon(inner), torch.optim.AdamW(outer, lr=ADAM_RATE, betas=(0.9, 0.99), weight_decay=0)


def decoder_loss(vae: AutoencoderTiny, pictures: torch.Tensor, *, small: bool) -> Losses:
    with reduced():
        with torch.no_grad():
            latents = vae.encoder(pictures).float()
        noise = torch.randn_like(latents) * LATENT_NOISE * torch.rand(len(latents), 1, 1, 1)
        decoded = decode(vae.decoder, latents + noise, small=small).float()
    target = nn.functional.avg_pool2d(pictures, 2) if small else pictures
    return losses_of(decoded, target)


def losses_of(decoded: torch.Tensor, target: torch.Tensor) -> Losses:
    error = decoded - target
    across, down = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    return Losses(error.abs().mean(), error.pow(2).mean(), across.abs().mean() + down.abs().mean())


def decode(decoder: nn.Module, latents: torch.Tensor, *, small: bool) -> torch.Tensor:
    """What the decoder's forward does; `small` leaves out the last doubling and its convolution."""
    layers = layers_of(decoder)
    hidden = torch.tanh(latents / 3) * 3
    for layer in [*layers[:-3], layers[-1]] if small else layers:
        hidden = layer(hidden)
    return hidden * 2 - 1


def random_batch(pixels: Rgba, rng: np.random.Generator, *, small: bool) -> torch.Tensor:
    """[b, 3, 256, 256] in -1..1"""
    chosen = rng.integers(0, len(pixels), SMALL_BATCH if small else FULL_BATCH)
    batch = torch.from_numpy(np.stack([random_picture(pixels[i], rng) for i in chosen]))
    return batch.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last) / 127.5 - 1


def random_picture(pixels: Rgba, rng: np.random.Generator) -> Floats:
    """Half on white, the rest on a known or any color; some with other hues; some mirrored."""
    if rng.random() < 0.15:
        pixels = rotate_hue(pixels, rng.uniform(0, 360), rng.uniform(0, 360), 181)
    draw = rng.random()
    colors = np.array(list(BACKGROUNDS.values()), np.float32)
    any_color = rng.integers(0, 256, 3).astype(np.float32)
    background = colors[0] if draw < 0.5 else colors[rng.integers(len(colors))] if draw < 0.9 else any_color
    shown = composite(pixels, background)
    return np.ascontiguousarray(shown[:, ::-1]) if rng.random() < 0.3 else shown


@torch.no_grad()
def save_average(work: Workspace, vae: AutoencoderTiny, average: list[torch.Tensor]) -> None:
    copy = new_vae()
    copy.load_state_dict(vae.state_dict())
    for parameter, value in zip(copy.decoder.parameters(), average, strict=True):
        parameter.copy_(value)
    copy.save_pretrained(work.vae)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    Workspace.add_option(parser)
    parser.add_argument("--minutes", type=float, default=26)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    train_decoder(Workspace.of(options), minutes=options.minutes)
