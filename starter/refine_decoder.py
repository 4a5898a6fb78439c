"""Teach the decoder to forgive the UNet: the same pictures from latents that the UNet has redrawn.

The UNet's latents are never exact, and a decoder that has seen exact ones draws their errors as blotches.
Training latents are noised to some t, denoised by the UNet under their captions, and decoded against the
original pictures.
"""

import argparse
import random
import time

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch import nn

from starter.captions import Scene, english_caption
from starter.export import assemble
from starter.latents import LatentSet, Variant
from starter.precision import reduced
from starter.sheets import GUIDANCE
from starter.train_unet import SCHEDULE
from starter.train_vae import ADAM_RATE, MUON_RATE, Losses, losses_of, optimizers, save_average
from starter.workspace import Workspace

STARTS = (200, 300, 400, 500, 600)  # t; from later ones the UNet would draw another picture
STRIDE = 100  # of the denoising steps
REDRAW_BATCH, BATCH = 48, 4
RATE = 0.3  # of the first training's
EXACT_SHARE = 0.25  # of the batches: images that users bring are encoded exactly
EMA = 0.995
REPORT_EVERY = 25


def refine_decoder(
    work: Workspace, *, minutes: float, redraw: int = 2000, least_steps: int = 0
) -> list[float]:
    """Redraw `redraw` latents, then train for `minutes`; returns the losses."""
    torch.manual_seed(2)
    rng = np.random.default_rng(2)
    data = LatentSet.load(work)
    variants = [Variant(**entry) for entry in torch.load(work.latents)["variants"]]
    chosen = rng.permutation(len(variants))[:redraw]
    pipeline = assemble(work)
    redrawn = redraw_latents(pipeline, data, chosen) * data.std
    exact = data.latents[torch.from_numpy(chosen)] * data.std
    _, _, pixels = work.load_pictures()
    vae = pipeline.vae.to(memory_format=torch.channels_last)
    parameters = list(vae.decoder.parameters())
    average = [p.detach().clone() for p in parameters]
    muon, adam = optimizers(vae.decoder)
    history: list[float] = []
    start = time.monotonic()
    while (done := (time.monotonic() - start) / 60 / minutes) < 1 or len(history) < least_steps:
        rate = RATE * max(0.02, 1 - done) * min(1.0, (len(history) + 1) / 20)
        picked = rng.integers(0, len(chosen), BATCH)
        latents = (exact if rng.random() < EXACT_SHARE else redrawn)[torch.from_numpy(picked)]
        shown = np.stack([variants[chosen[i]].pixels(pixels[variants[chosen[i]].picture]) for i in picked])
        losses = decode_loss(vae.decoder, latents, torch.from_numpy(shown).permute(0, 3, 1, 2) / 127.5 - 1)
        torch.autograd.backward(losses.total)
        for group in adam.param_groups:
            group["lr"] = ADAM_RATE * rate
        adam.step()
        muon.step(MUON_RATE * rate)
        vae.decoder.zero_grad()
        history.append(losses.total.item())
        torch._foreach_lerp_(
            average, [p.data for p in parameters], 1 - min(EMA, len(history) / (len(history) + 9))
        )
        if len(history) % REPORT_EVERY == 0:
            mean = float(np.mean(history[-REPORT_EVERY:]))
            print(f"step {len(history)} loss {mean:.4f} left {(1 - done) * minutes:.1f} min", flush=True)
            work.log("refine", step=len(history), loss=mean)
    save_average(work, vae, average)
    return history


def decode_loss(decoder: nn.Module, latents: torch.Tensor, pictures: torch.Tensor) -> Losses:
    with reduced():
        decoded = decoder(latents.contiguous(memory_format=torch.channels_last)).float()
    return losses_of(decoded, pictures)


@torch.no_grad()
def redraw_latents(pipeline: StableDiffusionPipeline, data: LatentSet, chosen: np.ndarray) -> torch.Tensor:
    """[len(chosen), 24, 8, 8], scaled like the training latents."""
    words = random.Random(2)
    pipeline.unet.to(memory_format=torch.channels_last)
    empty = embed(pipeline, [""])
    parts = []
    for first in range(0, len(chosen), REDRAW_BATCH):
        batch = chosen[first : first + REDRAW_BATCH]
        scenes: list[Scene] = [data.scenes[i] for i in batch]
        states = embed(pipeline, [english_caption(scene, words) for scene in scenes])
        states = torch.cat([empty.expand(len(batch), -1, -1), states])
        parts.append(
            redraw_batch(pipeline, data.latents[torch.from_numpy(batch)], states, words.choice(STARTS))
        )
    return torch.cat(parts)


def redraw_batch(
    pipeline: StableDiffusionPipeline, latents: torch.Tensor, states: torch.Tensor, start: int
) -> torch.Tensor:
    scheduler = DDIMScheduler(**SCHEDULE, clip_sample=False, set_alpha_to_one=True)
    scheduler.set_timesteps(1000 // STRIDE)
    times = [t for t in scheduler.timesteps if t < start]
    noisy = scheduler.add_noise(latents, torch.randn_like(latents), times[0].repeat(len(latents)))
    for t in times:
        with reduced():
            both = pipeline.unet(torch.cat([noisy, noisy]), t, states).sample.float()
        without, with_text = both.chunk(2)
        noisy = scheduler.step(without + GUIDANCE * (with_text - without), t, noisy).prev_sample
    redrawn: torch.Tensor = noisy
    return redrawn


def embed(pipeline: StableDiffusionPipeline, prompts: list[str]) -> torch.Tensor:
    ids = pipeline.tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    states: torch.Tensor = pipeline.text_encoder(ids).last_hidden_state
    return states


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    Workspace.add_option(parser)
    parser.add_argument("--minutes", type=float, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    refine_decoder(Workspace.of(options), minutes=options.minutes)
