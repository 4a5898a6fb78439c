"""What goes with pictures: `info`, and in it the text that stands in their files, too."""

from collections.abc import Sequence
from typing import Any

from generation import pictures
from generation.models import Generation, Image
from generation.prompts import open_prompts
from tenants.tokens import Principal


def info(generation: Generation, images: Sequence[Image], principal: Principal) -> dict[str, Any]:
    """`generation.model` must be loaded."""
    prompt, negative_prompt = open_prompts(
        generation.prompt_sealed, generation.negative_prompt_sealed, key=principal.data_key, generation_id=generation.id
    )
    number, seeds = len(images), [image.seed for image in images]
    return {
        "prompt": prompt,
        "all_prompts": [prompt] * number,
        "negative_prompt": negative_prompt,
        "all_negative_prompts": [negative_prompt] * number,
        "seed": seeds[0] if seeds else generation.seed,
        "all_seeds": seeds,
        "subseed": -1,
        "all_subseeds": [-1] * number,
        "subseed_strength": 0,
        "width": generation.width,
        "height": generation.height,
        "sampler_name": generation.sampler,
        "cfg_scale": generation.cfg_scale,
        "steps": generation.steps,
        "batch_size": number,
        "restore_faces": False,
        "face_restoration_model": None,
        "denoising_strength": generation.strength,
        "sd_model_name": generation.model.name,
        "sd_model_hash": generation.model.version,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": [_infotext(generation, prompt, negative_prompt, seed) for seed in seeds],
        "styles": [],
        "clip_skip": generation.clip_skip,
        "is_using_inpainting_conditioning": False,
        "job_timestamp": generation.created_at.strftime("%Y%m%d%H%M%S"),
        "generation_id": str(generation.id),
    }


def _infotext(generation: Generation, prompt: str, negative_prompt: str, seed: int) -> str:
    return pictures.describe(
        prompt=prompt, negative_prompt=negative_prompt, steps=generation.steps, sampler=generation.sampler,
        cfg_scale=generation.cfg_scale, seed=seed, width=generation.width, height=generation.height,
        model=generation.model.name, model_digest=generation.model.digest, strength=generation.strength,
        clip_skip=generation.clip_skip,
    )  # fmt: skip
