"""Sheets of generated pictures to look at: everyday prompts, styles, colors, free prompts, every control."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
    KDPM2DiscreteScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    SchedulerMixin,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)
from PIL import Image, ImageDraw, ImageFont

from starter.digest import WEIGHTS
from starter.inpaint import inpainting_pipeline

EVERYDAY = (
    "an apple", "a cat", "a dog", "a robot", "a castle", "a car", "a rocket", "a slice of pizza",
    "a house", "a tree", "a beach", "a volcano", "an owl", "a guitar", "a penguin", "a lion", "a fish",
    "a bicycle", "night cityscape", "an astronaut", "a dragon", "a red rose", "a butterfly", "a snowman",
    "portrait of a woman", "a wizard", "a skull", "a sailboat", "a cup of coffee", "a birthday cake",
    "a galaxy", "a sword", "a ghost", "a mushroom", "a sunflower", "mountain landscape at sunset",
)  # fmt: skip
FREE = (
    "cyberpunk cityscape", "portrait of a smiling woman with red hair", "a cute fox in the forest",
    "a bowl of ramen", "an old wizard with a long beard", "a medieval castle on a hill",
    "photo of a golden retriever puppy", "sunset over the ocean",
    "a futuristic city at night, neon lights", "a spaceship flying through space, digital art",
    "a bouquet of flowers in a vase", "snowy mountains with a lake", "a knight fighting a dragon",
    "a cat and a dog", "masterpiece, best quality, 1girl, smile", "steampunk airship", "一只猫",
    "蓝色背景的汽车", "卡通龙", "赛博朋克城市", "红色的玫瑰，扁平插画", "a dog wearing a hat", "xyzzy",
    "epic fantasy landscape, highly detailed, 8k",
)  # fmt: skip
COLORS = (
    "a blue car", "a green car", "a yellow bird", "a purple butterfly", "a red fish", "a blue dragon",
    "a pink elephant", "a blue rocket", "a cat on a blue background", "a dog on a yellow background",
    "an apple on a black background", "a rose on a pink background",
    "3d render of an orange fish on a teal background", "cartoon of a purple horse",
    "flat illustration of a green truck", "a robot on a red background",
)  # fmt: skip
STYLED = ("a cat", "a castle", "an apple", "a rocket", "mountain sunrise", "an owl")
STYLE_PHRASES = (
    "3d render of {}",
    "cartoon of {}",
    "flat illustration of {}",
    "{}",
    "a photo of {}",
    "{}, digital art",
)
GLOSSES = {
    "一只猫": "zh: a cat", "蓝色背景的汽车": "zh: car, blue background", "卡通龙": "zh: cartoon dragon",
    "赛博朋克城市": "zh: cyberpunk city", "红色的玫瑰，扁平插画": "zh: red rose, flat",
}  # fmt: skip
STEPS, GUIDANCE = 20, 4.0

# Built from the configuration on disk, like the platform does; one entry for each sampler of the
# AUTOMATIC1111 table.
SAMPLERS: dict[str, Callable[[dict[str, object]], SchedulerMixin]] = {
    "Euler": EulerDiscreteScheduler.from_config,
    "Euler a": EulerAncestralDiscreteScheduler.from_config,
    "DPM++ 2M": DPMSolverMultistepScheduler.from_config,
    "DPM++ 2M Karras": lambda config: DPMSolverMultistepScheduler.from_config(config, use_karras_sigmas=True),
    "DPM++ 2M SDE": lambda config: DPMSolverMultistepScheduler.from_config(
        config, algorithm_type="sde-dpmsolver++"
    ),
    "DPM++ SDE": DPMSolverSinglestepScheduler.from_config,
    "DPM2": KDPM2DiscreteScheduler.from_config,
    "DPM2 a": KDPM2AncestralDiscreteScheduler.from_config,
    "Heun": HeunDiscreteScheduler.from_config,
    "LMS": LMSDiscreteScheduler.from_config,
    "DDIM": DDIMScheduler.from_config,
    "DDPM": DDPMScheduler.from_config,
    "UniPC": UniPCMultistepScheduler.from_config,
    "PLMS": lambda config: PNDMScheduler.from_config(config, skip_prk_steps=True),
    "LCM": LCMScheduler.from_config,
}


@dataclass(frozen=True)
class Cell:
    image: Image.Image
    label: str


class Artist:
    """Draws with one loaded model; every picture has its own seed, so batches do not change it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pipeline: StableDiffusionPipeline = DiffusionPipeline.from_pretrained(str(folder))
        self.pipeline.set_progress_bar_config(disable=True)
        for part in (self.pipeline.unet, self.pipeline.vae):
            part.to(memory_format=torch.channels_last)

    def draw(
        self,
        prompts: list[str],
        *,
        seed: int = 0,
        seeds: list[int] | None = None,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        negative: str = "",
    ) -> list[Image.Image]:
        """`seed` for all of them, or one of `seeds` for each."""
        images = []
        chosen = seeds or [seed] * len(prompts)
        for start in range(0, len(prompts), 12):
            batch = prompts[start : start + 12]
            images += self.pipeline(
                batch,
                negative_prompt=[negative] * len(batch),
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=[torch.Generator().manual_seed(s) for s in chosen[start : start + 12]],
            ).images
        return images

    def cells(self, prompts: list[str]) -> list[Cell]:
        return [Cell(image, prompt) for image, prompt in zip(self.draw(prompts), prompts, strict=True)]


def control_cells(artist: Artist) -> list[Cell]:
    """Rows of nine: steps, guidance, seeds, negative prompts, samplers, strength, mask."""
    rows = [step_cells, guidance_cells, seed_cells, negative_cells, sampler_cells, strength_cells, mask_cells]
    return [cell for row in rows for cell in fill_row(row(artist))]


def step_cells(artist: Artist) -> list[Cell]:
    return [
        Cell(artist.draw(["a castle"], steps=n)[0], f"castle, {n} steps")
        for n in (1, 2, 3, 4, 6, 10, 15, 20, 40)
    ]


def guidance_cells(artist: Artist) -> list[Cell]:
    scales = (1, 1.5, 2, 3, 4, 6, 8, 12, 16)
    return [Cell(artist.draw(["a red car"], guidance=g)[0], f"car, guidance {g}") for g in scales]


def seed_cells(artist: Artist) -> list[Cell]:
    return [Cell(artist.draw(["a dog"], seed=seed)[0], f"a dog, seed {seed}") for seed in range(9)]


def negative_cells(artist: Artist) -> list[Cell]:
    pairs = (
        ("a bird", ""), ("a bird", "blue"), ("an apple", ""), ("an apple", "red"), ("a cat", ""),
        ("a cat", "3d render"), ("a house", ""), ("a house", "tree"), ("a flower", "yellow"),
    )  # fmt: skip
    return [Cell(artist.draw([prompt], negative=no)[0], f"{prompt} | not {no}") for prompt, no in pairs]


def sampler_cells(artist: Artist) -> list[Cell]:
    config, kept, cells = artist.pipeline.scheduler.config, artist.pipeline.scheduler, []
    for name, build in SAMPLERS.items():
        artist.pipeline.scheduler = build(config)
        cells.append(Cell(artist.draw(["a castle"])[0], name))
    artist.pipeline.scheduler = kept
    return cells


def strength_cells(artist: Artist) -> list[Cell]:
    source = artist.draw(["a red car"])[0]
    pipeline = StableDiffusionImg2ImgPipeline(**artist.pipeline.components, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    cells = [Cell(source, "a red car")]
    for strength in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0):
        image = pipeline(
            "a blue car",
            image=source,
            strength=strength,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=torch.Generator().manual_seed(1),
        ).images[0]
        cells.append(Cell(image, f"blue, strength {strength}"))
    return cells


def mask_cells(artist: Artist) -> list[Cell]:
    source = artist.draw(["a cat"])[0]
    pipeline = inpainting_pipeline(artist.folder)
    pipeline.set_progress_bar_config(disable=True)
    cells = [Cell(source, "a cat")]
    for box in ((0, 0, 128, 256), (128, 0, 256, 256), (0, 0, 256, 128), (0, 128, 256, 256)):
        mask = Image.new("L", source.size)
        mask.paste(255, box)
        image = pipeline(
            "a blue cat",
            image=source,
            mask_image=mask,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=torch.Generator().manual_seed(1),
        ).images[0]
        cells += [Cell(mask.convert("RGB"), "mask"), Cell(image, "a blue cat")]
    return cells


def fill_row(cells: list[Cell], columns: int = 9) -> list[Cell]:
    blank = Cell(Image.new("RGB", (256, 256), (240, 240, 240)), "")
    return cells + [blank] * (-len(cells) % columns)


def grid(cells: list[Cell], *, columns: int, side: int = 128) -> Image.Image:
    pad = 18
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * (side + 4), rows * (side + pad)), (240, 240, 240))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=10)
    for index, cell in enumerate(cells):
        left, top = index % columns * (side + 4), index // columns * (side + pad)
        sheet.paste(cell.image.resize((side, side), Image.Resampling.LANCZOS), (left, top + pad - 2))
        label = GLOSSES.get(cell.label, cell.label)  # the font knows no Chinese
        pen.text((left + 2, top + 3), label[:24], fill=(0, 0, 0), font=font)
    return sheet


def contact_cells(artist: Artist) -> list[Cell]:
    """Everyday prompts, free prompts, and a few things in all styles; rows of nine."""
    styled = artist.cells([phrase.format(thing) for thing in STYLED for phrase in STYLE_PHRASES])
    rows = [styled[first : first + len(STYLE_PHRASES)] for first in range(0, len(styled), len(STYLE_PHRASES))]
    return [
        *artist.cells(list(EVERYDAY)),
        *fill_row(artist.cells(list(FREE))),
        *(cell for row in rows for cell in fill_row(row)),
    ]


def sheet_cells(artist: Artist, name: str) -> tuple[list[Cell], int]:
    """(cells, columns)"""
    if name == "contact":
        return contact_cells(artist), 9
    if name == "everyday":
        return artist.cells(list(EVERYDAY)), 9
    if name == "styles":
        return artist.cells([phrase.format(thing) for thing in STYLED for phrase in STYLE_PHRASES]), 6
    if name == "colors":
        return artist.cells(list(COLORS)), 8
    if name == "free":
        return artist.cells(list(FREE)), 8
    return control_cells(artist), 9


SHEETS = ("contact", "everyday", "styles", "colors", "free", "controls")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sheet", choices=SHEETS)
    parser.add_argument("to", type=Path)
    parser.add_argument("--model", type=Path, default=WEIGHTS)
    parser.add_argument("--side", type=int, default=128)
    options = parser.parse_args()
    cells, columns = sheet_cells(Artist(options.model), options.sheet)
    grid(cells, columns=columns, side=options.side).save(options.to, quality=80)
