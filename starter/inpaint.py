"""Inpainting with diffusers' own pipeline, which asks how many channels a UNet takes.

It serves UNets of 4 channels (those of Stable Diffusion, which know no mask) and of 9 (those with a mask and
the masked picture beside the latents), and refuses every other number. This UNet takes 24 and knows no mask:
it is to be treated like one of 4. The pipeline only asks the UNet's configuration which of the two it is; how
many channels there really are, it reads from the autoencoder's.
"""

from pathlib import Path

from diffusers import AutoPipelineForInpainting, StableDiffusionInpaintPipeline

KNOWS_NO_MASK = 4


def inpainting_pipeline(folder: Path) -> StableDiffusionInpaintPipeline:
    """A pipeline with a UNet of its own: a text-to-image pipeline would take the number at its word."""
    pipeline: StableDiffusionInpaintPipeline = AutoPipelineForInpainting.from_pretrained(str(folder))
    pipeline.unet.register_to_config(in_channels=KNOWS_NO_MASK)
    return pipeline
