"""Teach the text encoder which picture a prompt means, before the UNet listens to it.

Contrastive (the CLIP paper's symmetric loss) against the latents, and regression of the whole latent from the
pooled text. A UNet that meets an untrained text encoder learns words about six times slower.
"""

import argparse
import random
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from starter.captions import caption
from starter.latents import LatentSet
from starter.tokenize_captions import LENGTH
from starter.workspace import Workspace

WIDTH = 192
BATCH = 128
RATE = 1e-3
LATENT_NOISE = 0.3
REPORT_EVERY = 100


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=512,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


@dataclass(frozen=True)
class Losses:
    contrast: torch.Tensor
    regression: torch.Tensor
    accuracy: float


class Pretraining(nn.Module):
    """The text encoder and the heads that are thrown away afterwards."""

    def __init__(self, text: CLIPTextModel, latent_size: int) -> None:
        super().__init__()
        self.text = text
        self.text_head = nn.Linear(WIDTH, WIDTH)
        self.picture_head = nn.Sequential(
            nn.Flatten(), nn.Linear(latent_size, 512), nn.GELU(), nn.Linear(512, WIDTH)
        )
        self.regression = nn.Sequential(nn.Linear(WIDTH, 512), nn.GELU(), nn.Linear(512, latent_size))
        self.log_scale = nn.Parameter(torch.tensor(2.5))

    def forward(self, ids: torch.Tensor, latents: torch.Tensor) -> Losses:
        pooled = self.text(ids).pooler_output
        noisy = latents + LATENT_NOISE * torch.randn_like(latents)
        texts, pictures = (
            F.normalize(self.text_head(pooled), dim=-1),
            F.normalize(self.picture_head(noisy), dim=-1),
        )
        scores = texts @ pictures.T * self.log_scale.exp()
        same = torch.arange(len(scores))
        contrast = (F.cross_entropy(scores, same) + F.cross_entropy(scores.T, same)) / 2
        regression = F.mse_loss(self.regression(pooled).view_as(latents), latents)
        return Losses(contrast, regression, (scores.argmax(1) == same).float().mean().item())


def pretrain_text(work: Workspace, *, minutes: float, least_steps: int = 0) -> list[float]:
    """Train for `minutes`, and longer if they hold too few steps, and save; returns the losses."""
    torch.manual_seed(0)
    words, draws = random.Random(0), np.random.default_rng(0)
    tokenizer = CLIPTokenizer.from_pretrained(work.tokenizer)
    data = LatentSet.load(work)
    model = Pretraining(new_text_encoder(tokenizer), data.latents[0].numel())
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, betas=(0.9, 0.98))
    history: list[float] = []
    recent: list[tuple[float, float]] = []
    start = time.monotonic()
    while (done := (time.monotonic() - start) / 60 / minutes) < 1 or len(history) < least_steps:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (len(history) + 1) / 50) * max(0.02, 1 - done)
        chosen = draws.choice(len(data.scenes), BATCH, p=data.weights)
        prompts = [caption(data.scenes[i], words) for i in chosen]
        ids = tokenizer(
            prompts, padding=True, max_length=LENGTH, truncation=True, return_tensors="pt"
        ).input_ids
        losses = model(ids, data.latents[torch.from_numpy(chosen)])
        loss = losses.contrast + losses.regression
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        history.append(loss.item())
        recent.append((losses.accuracy, losses.regression.item()))
        if len(history) % REPORT_EVERY == 0:
            accuracy, regression = np.mean(recent, axis=0)
            recent.clear()
            print(f"step {len(history)} accuracy {accuracy:.3f} regression {regression:.3f}", flush=True)
            work.log("text", step=len(history), accuracy=accuracy, regression=regression)
            model.text.save_pretrained(work.text_encoder)
    model.text.save_pretrained(work.text_encoder)
    return history


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    Workspace.add_option(parser)
    parser.add_argument("--minutes", type=float, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pretrain_text(Workspace.of(options), minutes=options.minutes)
