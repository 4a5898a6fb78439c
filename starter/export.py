"""Write the trained parts as one folder that plain `DiffusionPipeline.from_pretrained(folder)` loads."""

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler, StableDiffusionPipeline
from transformers import CLIPTokenizer

from starter.digest import DIGEST_FILE, WEIGHTS, folder_digest
from starter.pretrain_text import new_text_encoder
from starter.train_unet import SCHEDULE, new_unet
from starter.workspace import Workspace

# transformers 5 loads a model in the precision its configuration names, diffusers the rest in float32: a
# half-precision text encoder would then meet a full-precision UNet and fail. The file stays half the
# size; the configuration asks for float32.
TEXT_DTYPE = "float32"
# Read by the samplers that are built from this configuration; without them DDIM and DDPM clip latents to
# -1..1.
FOR_OTHER_SAMPLERS = {
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "skip_prk_steps": True,
}


def export(work: Workspace, folder: Path = WEIGHTS) -> None:
    """The averaged weights, in half precision; writes the digest beside them."""
    pipeline = assemble(work)
    pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(folder)
    edit_json(folder / "text_encoder/config.json", dtype=TEXT_DTYPE)
    # AutoencoderTiny warns when it reads the first; the other tells which folder it was trained in.
    edit_json(folder / "vae/config.json", block_out_channels=None, _name_or_path=None)
    (folder / DIGEST_FILE).write_text(folder_digest(folder) + "\n", "ascii")
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB, digest {folder_digest(folder)[:12]}", flush=True)


def assemble(work: Workspace) -> StableDiffusionPipeline:
    tokenizer = CLIPTokenizer.from_pretrained(work.tokenizer)
    unet, text = new_unet(), new_text_encoder(tokenizer)
    average = torch.load(work.checkpoint)["average"]
    with torch.no_grad():
        for parameter, value in zip([*unet.parameters(), *text.parameters()], average, strict=True):
            parameter.copy_(value)
    vae = AutoencoderTiny.from_pretrained(work.vae)
    vae.register_to_config(scaling_factor=1 / torch.load(work.latents)["std"])
    scheduler = DPMSolverMultistepScheduler(
        **SCHEDULE, algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero"
    )
    scheduler.register_to_config(**FOR_OTHER_SAMPLERS)
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def edit_json(path: Path, **changes: str | None) -> None:
    """Set keys, or drop those that are None."""
    content = {**json.loads(path.read_text("utf-8")), **changes}
    content = {key: value for key, value in content.items() if key not in changes or value is not None}
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    Workspace.add_option(parser)
    parser.add_argument("--to", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    export(Workspace.of(options), options.to)
