"""A small image classifier that judges generated pictures: which of the concepts does this show?

Trained on the artwork alone (as drawn and as the decoder reproduces it) under strong augmentation; it never
sees a generated picture. One classifier knows all styles; three more each never saw one of them, and judge
that one: what they recognize, they cannot have learned by heart.
"""

import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import nn

from starter.precision import reduced
from starter.recolor import BACKGROUNDS, composite
from starter.train_vae import decode
from starter.workspace import Workspace

SIDE = 40
BATCH = 96
RATE = 2e-3
REPORT_EVERY = 100


class Classifier(nn.Module):
    """[b, 3, 40, 40] in -1..1 -> scores [b, concepts]."""

    def __init__(self, concepts: int) -> None:
        super().__init__()
        widths = (3, 40, 80, 160, 256)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.GELU()]
            layers += [nn.Conv2d(after, after, 3, 1, 1, groups=after // 8), nn.BatchNorm2d(after), nn.GELU()]
        self.features = nn.Sequential(*layers)
        self.scores = nn.Linear(widths[-1] * 4, concepts)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        pooled = F.adaptive_avg_pool2d(self.features(pictures), 2).flatten(1)
        scores: torch.Tensor = self.scores(F.dropout(pooled, 0.2, self.training))
        return scores


def train_classifier(work: Workspace, *, steps: int, without: str | None = None) -> Classifier:
    """Train on all styles but `without`, save, and report accuracy on freshly augmented artwork."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    concepts, shown, _ = work.load_pictures()
    seen = torch.tensor([picture.style != without for picture in shown])
    pictures = small_pictures(work)[seen]
    labels = torch.tensor([picture.concept for picture in shown])[seen]
    model = Classifier(len(concepts)).to(memory_format=torch.channels_last)  # a third faster
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
    right = 0.0
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, step / 100) * max(0.01, (1 + math.cos(math.pi * step / steps)) / 2)
        chosen = torch.from_numpy(rng.integers(0, len(labels), BATCH))
        with reduced():
            shown_now = augment(pictures[chosen, torch.from_numpy(rng.integers(0, 2, BATCH))], rng)
            scores = model(shown_now.contiguous(memory_format=torch.channels_last)).float()
        loss = F.cross_entropy(scores, labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        right = 0.98 * right + 0.02 * (scores.argmax(1) == labels[chosen]).float().mean().item()
        if step % REPORT_EVERY == 0:
            print(f"classifier step {step} of {steps}, accuracy {right:.3f}", flush=True)
    work.log(f"classifier without {without}" if without else "classifier", steps=steps, accuracy=right)
    model.eval()
    torch.save(model.state_dict(), work.classifier(without))
    return model


def load_classifier(work: Workspace, *, without: str | None = None) -> Classifier:
    concepts, _, _ = work.load_pictures()
    model = Classifier(len(concepts))
    model.load_state_dict(torch.load(work.classifier(without)))
    model.eval()
    return model


@torch.no_grad()
def ranks(model: Classifier, pictures: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
    """[n, 3, 40, 40] in -1..1 and the concepts [n] they should show -> how many other concepts the classifier
    finds likelier.
    """
    scores = torch.cat([model(batch) for batch in pictures.split(256)])
    return (scores > scores.gather(1, concepts[:, None])).sum(1)


def small_pictures(work: Workspace) -> torch.Tensor:
    """[n, 2, 4, 40, 40]: each picture as drawn and as the decoder reproduces it; the fourth channel is its
    alpha. Kept in a file, for all classifiers.
    """
    if not work.small_pictures.exists():
        torch.save(make_small_pictures(work), work.small_pictures)
    pictures: torch.Tensor = torch.load(work.small_pictures)
    return pictures


@torch.no_grad()
def make_small_pictures(work: Workspace) -> torch.Tensor:
    _, _, pixels = work.load_pictures()
    vae = AutoencoderTiny.from_pretrained(work.vae).eval()
    parts = []
    for start in range(0, len(pixels), 16):
        rgba = np.array(pixels[start : start + 16])
        white = torch.from_numpy(np.stack([composite(p) for p in rgba])).permute(0, 3, 1, 2) / 127.5 - 1
        alpha = torch.from_numpy(rgba[..., 3:]).permute(0, 3, 1, 2).float() / 255
        with reduced():
            again = decode(vae.decoder, vae.encoder(white), small=True).float().clamp(-1, 1)
        both = [
            F.interpolate(torch.cat([shown, F.interpolate(alpha, shown.shape[-1])], 1), SIDE, mode="area")
            for shown in (white, again)
        ]
        parts.append(torch.stack(both, 1))
    return torch.cat(parts)


def augment(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """[b, 4, 40, 40] -> [b, 3, 40, 40]: on other backgrounds, moved, turned, blurred, recolored, noisy."""
    count = len(pictures)
    moved = F.grid_sample(
        torch.cat([pictures[:, :3] - 1, pictures[:, 3:]], 1),
        F.affine_grid(random_transforms(count, rng), [count, 4, SIDE, SIDE], align_corners=False),
        align_corners=False,
    )  # fills with 0, so white is moved to 0 for a while
    image, alpha = moved[:, :3] + 1, moved[:, 3:].clamp(0, 1)
    image = torch.where(torch.rand(count, 1, 1, 1) < 0.25, on_background(image, alpha, rng), image)
    gain = 1 + 0.25 * torch.randn(count, 3, 1, 1) * torch.rand(count, 1, 1, 1)
    image = (image - 1) * gain + 1 + 0.15 * torch.randn(count, 1, 1, 1)
    if rng.random() < 0.5:
        image = F.interpolate(F.avg_pool2d(image, 2), SIDE, mode="bilinear")
    image = image + 0.12 * torch.rand(count, 1, 1, 1) * torch.randn_like(image)
    blotches = F.interpolate(torch.randn(count, 3, 8, 8), SIDE, mode="bilinear")
    return (image + 0.2 * torch.rand(count, 1, 1, 1) * blotches).clamp(-1, 1)


def on_background(image: torch.Tensor, alpha: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """White turns into a color where the picture is transparent; `image` was drawn on white."""
    colors = np.array(list(BACKGROUNDS.values()), np.float32)[rng.integers(0, len(BACKGROUNDS), len(image))]
    background = torch.from_numpy(colors).view(-1, 3, 1, 1) / 127.5 - 1
    return image - (1 - alpha) * (1 - background)


def random_transforms(count: int, rng: np.random.Generator) -> torch.Tensor:
    angle = torch.from_numpy(rng.normal(0, 0.12, count)).float()
    scale = torch.from_numpy(rng.uniform(0.9, 1.25, count)).float()
    mirror = torch.from_numpy(rng.choice([1.0, 1.0, 1.0, -1.0], count)).float()
    shear = torch.from_numpy(rng.normal(0, 0.06, count)).float()
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = scale * angle.cos() * mirror, -scale * angle.sin() + shear
    matrix[:, 1, 0], matrix[:, 1, 1] = scale * angle.sin(), scale * angle.cos()
    matrix[:, :, 2] = torch.from_numpy(rng.normal(0, 0.07, (count, 2))).float()
    return matrix
