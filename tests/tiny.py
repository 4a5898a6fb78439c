"""A Stable Diffusion folder of random weights, built in code: it draws noise, on the paths of a real model.

`python -m tests.tiny FOLDER` writes one.
"""

import argparse
import json
from pathlib import Path
from typing import Any

PROMPT_TOKENS = 16  # so that a prompt of fifteen letters is already too long
DOWNSCALE = 8  # pixels of an edge to a latent


def build(folder: Path, *, seed: int = 0) -> Path:
    """Write the folder, always the same for the same seed (some 400 kB, safetensors)."""
    return _build(folder, seed=seed)


def build_inpaint(folder: Path, *, seed: int = 0) -> Path:
    """The same for a model whose UNet sees mask and masked picture beside the latents: 4 + 1 + 4 channels."""
    _build(folder, seed=seed, channels=9)
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace('"StableDiffusionPipeline"', '"StableDiffusionInpaintPipeline"'))
    return folder


def _build(folder: Path, *, seed: int, channels: int = 4) -> Path:
    import torch
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text_config = CLIPTextConfig(
            vocab_size=514,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=PROMPT_TOKENS,
            projection_dim=32,
            bos_token_id=512,
            eos_token_id=513,
            pad_token_id=513,
        )
        pipeline = StableDiffusionPipeline(
            tokenizer=_tokenizer(),
            text_encoder=CLIPTextModel(text_config).eval(),
            unet=UNet2DConditionModel(
                sample_size=64 // DOWNSCALE,
                in_channels=channels,
                block_out_channels=(8, 16),
                layers_per_block=1,
                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                cross_attention_dim=32,
                attention_head_dim=4,
                norm_num_groups=4,
            ).eval(),
            vae=AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(4, 4, 8, 8),
                layers_per_block=1,
                norm_num_groups=4,
                sample_size=64,
            ).eval(),
            # As in the folders of Stable Diffusion 1.x: nothing says which spacing a sampler wants.
            scheduler=PNDMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                skip_prk_steps=True,
                set_alpha_to_one=False,
                steps_offset=1,
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder, safe_serialization=True)
    _forget_scheduler_defaults(folder / "scheduler" / "scheduler_config.json")
    return folder


def build_xl(folder: Path, *, seed: int = 0) -> Path:
    """The same for Stable Diffusion XL."""
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text_config = CLIPTextConfig(
            vocab_size=514,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=PROMPT_TOKENS,
            projection_dim=32,
            bos_token_id=512,
            eos_token_id=513,
            pad_token_id=513,
        )
        pipeline = StableDiffusionXLPipeline(
            tokenizer=_tokenizer(),
            tokenizer_2=_tokenizer(),
            text_encoder=CLIPTextModel(text_config).eval(),
            text_encoder_2=CLIPTextModelWithProjection(text_config).eval(),
            unet=UNet2DConditionModel(
                sample_size=64 // DOWNSCALE,
                block_out_channels=(8, 16),
                layers_per_block=1,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                cross_attention_dim=64,
                attention_head_dim=(2, 4),
                transformer_layers_per_block=(1, 2),
                use_linear_projection=True,
                norm_num_groups=4,
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=6 * 8 + 32,
            ).eval(),
            vae=AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(4, 4, 8, 8),
                layers_per_block=1,
                norm_num_groups=4,
                sample_size=64,
                scaling_factor=0.13025,
            ).eval(),
            scheduler=EulerDiscreteScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
            ),
        )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _tokenizer() -> Any:
    """CLIP's byte-level tokenizer without a single merge: one token a letter."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=PROMPT_TOKENS
    )


def _forget_scheduler_defaults(file: Path) -> None:
    """Published folders predate most of the keys `save_pretrained` writes today."""
    config = json.loads(file.read_text())
    for key in ("timestep_spacing", "prediction_type", "trained_betas"):
        config.pop(key)
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    print(build(arguments.parse_args().folder))
