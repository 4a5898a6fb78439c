"""Make the starter model from nothing: artwork, autoencoder, tokenizer, text, UNet, export.

`python -m starter.make` takes about two and a half hours on two cores. `--short` is the two-minute run
for continuous integration: few concepts, seconds of every stage, and checks that losses fall and the
folder draws.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from starter.digest import WEIGHTS, is_intact
from starter.export import export
from starter.latents import encode_pictures
from starter.prepare import prepare
from starter.pretrain_text import pretrain_text
from starter.refine_decoder import refine_decoder
from starter.tokenize_captions import learn_tokenizer
from starter.train_unet import train_unet
from starter.train_vae import make_encoder, train_decoder
from starter.workspace import Workspace


@dataclass(frozen=True)
class Plan:
    """Minutes of every stage, the least steps of each; `concepts` limits how many of each category."""

    decoder: float
    text: float
    unet: float
    refinement: float
    redraw: int
    least_steps: int = 0
    concepts: int | None = None


FULL = Plan(decoder=26, text=11, unet=95, refinement=8, redraw=2000)
SHORT = Plan(decoder=0.4, text=0.2, unet=0.4, refinement=0.1, redraw=48, least_steps=40, concepts=2)


def make(work: Workspace, plan: Plan, folder: Path) -> None:
    torch.set_flush_denormal(True)
    prepare(work, limit=plan.concepts)
    make_encoder(work)
    check_falls("decoder", train_decoder(work, minutes=plan.decoder, least_steps=plan.least_steps))
    learn_tokenizer(work)
    encode_pictures(work)
    check_falls("text", pretrain_text(work, minutes=plan.text, least_steps=plan.least_steps))
    check_falls("UNet", train_unet(work, minutes=plan.unet, least_steps=plan.least_steps))
    refine_decoder(work, minutes=plan.refinement, redraw=plan.redraw)
    export(work, folder)
    check_draws(folder)


def check_falls(stage: str, losses: list[float]) -> None:
    head, tail = losses[: max(1, len(losses) // 5)], losses[-max(1, len(losses) // 5) :]
    first, last = sum(head) / len(head), sum(tail) / len(tail)
    print(f"{stage} loss {first:.3f} -> {last:.3f}", flush=True)
    if not last < first:
        raise RuntimeError(f"the {stage} loss does not fall")


def check_draws(folder: Path) -> None:
    pipeline = DiffusionPipeline.from_pretrained(folder)
    image = pipeline("a cat", num_inference_steps=4).images[0]
    if image.size != (256, 256) or not is_intact(folder):
        raise RuntimeError(f"{folder} is not a working model")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    Workspace.add_option(parser)
    parser.add_argument(
        "--to", type=Path, help="model folder; default: starter/weights, or below the work folder if short"
    )
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    workspace = Workspace.of(options)
    target = options.to or (workspace.root / "weights" if options.short else WEIGHTS)
    make(workspace, SHORT if options.short else FULL, target)
