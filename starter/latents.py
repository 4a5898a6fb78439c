"""Every training picture as latents: the original, on colored backgrounds, and recolored."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderTiny

from starter.captions import Scene
from starter.concepts import Concept
from starter.recolor import BACKGROUNDS, HUES, Floats, Rgba, composite, dominant_hue, hue_name, rotate_hue
from starter.styles import style_of
from starter.workspace import Picture, Workspace

BACKGROUNDS_EACH = 2
COLORS_EACH = 2
# Where one color may stand for the thing and another one does not make it a different thing.
RECOLORED = {
    "animals",
    "vehicles",
    "clothing",
    "tools and household",
    "fantasy",
    "plants",
    "books, money, mail, office",
}
KEEPS_COLOR = {"fire", "santa claus", "red heart", "skull", "pumpkin", "tree", "christmas tree"}
STYLE_SHARE = {"3d-render": 0.44, "cartoon": 0.29, "flat-illustration": 0.27}
VARIANT_SHARE = {"plain": 0.8, "background": 0.1, "recolored": 0.065, "own color": 0.035}


@dataclass(frozen=True)
class Variant:
    """One training example before it is encoded. `turn` is (hue, target hue) in degrees, None for none."""

    picture: int
    background: str = "white"
    color: str | None = None
    turn: tuple[float, float] | None = None

    @property
    def kind(self) -> str:
        if self.color is not None:
            return "recolored" if self.turn else "own color"
        return "plain" if self.background == "white" else "background"

    def pixels(self, source: Rgba) -> Floats:
        return composite(
            rotate_hue(source, *self.turn) if self.turn else source, BACKGROUNDS[self.background]
        )


@dataclass(frozen=True)
class LatentSet:
    """Scaled latents [n, 24, 8, 8] of standard deviation 1, the scene of each, and how often each is
    drawn.
    """

    latents: torch.Tensor
    std: float
    scenes: list[Scene]
    weights: np.ndarray

    @classmethod
    def load(cls, work: Workspace) -> "LatentSet":
        concepts, pictures, _ = work.load_pictures()
        saved = torch.load(work.latents)
        variants = [Variant(**entry) for entry in saved["variants"]]
        scenes = [scene_of(v, concepts, pictures) for v in variants]
        return cls(
            saved["latents"].float() / saved["std"], saved["std"], scenes, draw_weights(variants, scenes)
        )


def encode_pictures(work: Workspace) -> None:
    concepts, pictures, pixels = work.load_pictures()
    vae = AutoencoderTiny.from_pretrained(work.vae).eval()
    variants = list(plan_variants(concepts, pictures, pixels))
    parts = []
    for start in range(0, len(variants), 32):
        batch = np.stack([v.pixels(pixels[v.picture]) for v in variants[start : start + 32]])
        with torch.no_grad():
            parts.append(vae.encoder(torch.from_numpy(batch).permute(0, 3, 1, 2) / 127.5 - 1).half())
    latents = torch.cat(parts)
    std = latents.float().std().item()
    torch.save({"latents": latents, "std": std, "variants": [vars(v) for v in variants]}, work.latents)
    print(f"{len(variants)} latents of {len(pictures)} pictures, std {std:.3f}", flush=True)


def plan_variants(concepts: list[Concept], pictures: list[Picture], pixels: Rgba) -> Iterator[Variant]:
    rng = np.random.default_rng(1)
    names = [name for name in BACKGROUNDS if name != "white"]
    for index, picture in enumerate(pictures):
        yield Variant(index)
        for background in rng.choice(names, BACKGROUNDS_EACH, replace=False):
            yield Variant(index, background=str(background))
        if can_change_color(concepts[picture.concept]):
            yield from color_variants(index, pixels[index], rng)


def can_change_color(concept: Concept) -> bool:
    names_color = any(word in HUES for word in concept.name.split())
    return concept.category in RECOLORED and concept.name not in KEEPS_COLOR and not names_color


def color_variants(index: int, pixels: Rgba, rng: np.random.Generator) -> Iterator[Variant]:
    found = dominant_hue(pixels)
    if found is None or found[1] < 0.3:
        return
    hue, own = found[0], hue_name(found[0])
    for name in rng.choice([n for n in HUES if n != own], COLORS_EACH, replace=False):
        yield Variant(index, color=str(name), turn=(hue, HUES[str(name)]))
    yield Variant(index, color=own)


def scene_of(variant: Variant, concepts: list[Concept], pictures: list[Picture]) -> Scene:
    picture = pictures[variant.picture]
    return Scene(concepts[picture.concept], style_of(picture.style), variant.background, variant.color)


def draw_weights(variants: list[Variant], scenes: list[Scene]) -> np.ndarray:
    """Originals most, popular concepts more than others, each style its share; sums to 1."""
    base = np.array([STYLE_SHARE[s.style.id] * s.concept.popularity for s in scenes])
    kinds = np.array([v.kind for v in variants])
    weights = np.zeros(len(variants))
    for kind, share in VARIANT_SHARE.items():
        chosen = kinds == kind
        if chosen.any():
            weights[chosen] = base[chosen] / base[chosen].sum() * share
    total: float = weights.sum()
    return weights / total
