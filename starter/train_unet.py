"""Train the UNet, and the text encoder a little further, on the latents.

v-prediction with zero terminal SNR (Lin et al. 2023). Two processes of one thread each work on the same
shared weights without locks (Hogwild): on a shared machine that is faster than one process of two
threads. Resumable: the learning-rate schedule is a function of the minutes trained so far, which the
checkpoint keeps.
"""

import argparse
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.multiprocessing as mp
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel, CLIPTokenizer

from starter.captions import caption
from starter.latents import LatentSet
from starter.muon import Muon
from starter.precision import reduced
from starter.pretrain_text import WIDTH, new_text_encoder
from starter.tokenize_captions import LENGTH
from starter.workspace import Workspace

WORKERS = 2
BATCH = 64
RATE = 1e-3
MUON_RATE = 2.5e-3
TEXT_RATE = 0.35  # of RATE
WARM_UP = 30
HOLD = 0.4  # share of the time at the full rate, then a cosine down to FLOOR
FLOOR = 0.01
EMA = 0.99
NO_CAPTION = 0.1  # for classifier-free guidance
LATE_STEPS = 600  # t from here to 1000 decides what is drawn
LATE_SHARE = (0.6, 0.3)  # of all draws falls there, at the start and at the end
SNR_LIMIT = 20.0  # min-SNR would starve t -> 1000, where the text is learned; only the clean end is damped
SAVE_EVERY = 240  # seconds
REPORT_EVERY = 25
MOST_STEPS = 100_000  # of one worker, whose losses are kept

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}


def new_unet() -> UNet2DConditionModel:
    """8x8 -> 4x4 -> 2x2. The pooled text is added to the time embedding (`addition_embed_type`): a global
    path besides cross-attention, and one that the stock Stable Diffusion pipeline runs.
    """
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=24,
        out_channels=24,
        block_out_channels=(112, 144, 176),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        resnet_time_scale_shift="scale_shift",
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )


@dataclass(frozen=True)
class Batch:
    """Prompts [b], latents [b, 24, 8, 8], timesteps [b]."""

    prompts: list[str]
    latents: torch.Tensor
    timesteps: torch.Tensor


@dataclass(frozen=True)
class Clock:
    """Minutes trained before this run, its start, and the minutes of the whole schedule."""

    before: float
    start: float
    total: float

    @property
    def minutes(self) -> float:
        return self.before + (time.time() - self.start) / 60

    @property
    def done(self) -> float:
        return self.minutes / self.total


@dataclass(frozen=True)
class Shared:
    """What the workers share: the models' memory, and where the first one leaves its losses (NaN where
    none).
    """

    work: Workspace
    unet: UNet2DConditionModel
    text: CLIPTextModel
    clock: Clock
    history: torch.Tensor
    least_steps: int


def train_unet(
    work: Workspace, *, minutes: float, workers: int = WORKERS, least_steps: int = 0
) -> list[float]:
    """Train until `minutes` have gone in all, from the last checkpoint if there is one.

    Trains longer if they hold too few steps for a worker. Returns the losses of the first one."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(work.tokenizer)
    unet, text, before = load_or_create(work, tokenizer)
    unet.to(memory_format=torch.channels_last)
    unet.share_memory()
    text.share_memory()
    clock = Clock(before, time.time(), minutes)
    print(f"UNet {count(unet)}, text encoder {count(text)}, {before:.1f} minutes before", flush=True)
    history = torch.full((MOST_STEPS,), torch.nan)
    history.share_memory_()  # type: ignore[no-untyped-call]
    shared = Shared(work, unet, text, clock, history, least_steps)
    context = mp.get_context("spawn")
    processes = [context.Process(target=run_worker, args=(rank, shared)) for rank in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError("a training process failed")
    return [loss for loss in history.tolist() if not math.isnan(loss)]


def load_or_create(
    work: Workspace, tokenizer: CLIPTokenizer
) -> tuple[UNet2DConditionModel, CLIPTextModel, float]:
    unet, text = new_unet(), new_text_encoder(tokenizer)
    if not work.checkpoint.exists():
        return unet, CLIPTextModel.from_pretrained(work.text_encoder, dtype=torch.float32), 0.0
    saved = torch.load(work.checkpoint)
    unet.load_state_dict(saved["unet"])
    text.load_state_dict(saved["text"])
    return unet, text, saved["minutes"]


def run_worker(rank: int, shared: Shared) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    work, unet, text, clock = shared.work, shared.unet, shared.text, shared.clock
    seed = rank + round(clock.before * 100)
    torch.manual_seed(seed)
    tokenizer = CLIPTokenizer.from_pretrained(work.tokenizer)
    optimizers = Optimizers(unet, text)
    average = Average([*unet.parameters(), *text.parameters()]) if rank == 0 else None
    if average is not None and work.checkpoint.exists():
        average.load(torch.load(work.checkpoint)["average"])
    report = Report(work, clock)
    for steps, batch in enumerate(batches(LatentSet.load(work), seed, clock), 1):
        done = clock.done
        if done >= 1 and steps > shared.least_steps:
            break
        losses = train_step(unet, text, tokenizer, batch)
        optimizers.step(rate_at(done) * min(1.0, steps / WARM_UP))
        if average is not None:
            average.update(steps)
            shared.history[steps % MOST_STEPS] = losses.mean()
            report.add(batch.timesteps, losses, steps)
            if report.due_to_save():
                save_checkpoint(work, unet, text, average, clock)
    if average is not None:
        save_checkpoint(work, unet, text, average, clock)


def batches(data: LatentSet, seed: int, clock: Clock) -> Iterator[Batch]:
    draws, words = np.random.default_rng(seed), random.Random(seed)
    while True:
        chosen = draws.choice(len(data.scenes), BATCH, p=data.weights)
        prompts = ["" if words.random() < NO_CAPTION else caption(data.scenes[i], words) for i in chosen]
        latents = data.latents[torch.from_numpy(chosen)]
        late = LATE_SHARE[0] + (LATE_SHARE[1] - LATE_SHARE[0]) * clock.done
        yield Batch(prompts, latents, draw_timesteps(late))


def draw_timesteps(late_share: float) -> torch.Tensor:
    anywhere, late = 1000 * torch.rand(BATCH), LATE_STEPS + (1000 - LATE_STEPS) * torch.rand(BATCH)
    return torch.where(torch.rand(BATCH) < late_share, late, anywhere).long().clamp(max=999)


ALPHAS: torch.Tensor = DDIMScheduler(**SCHEDULE).alphas_cumprod


def train_step(
    unet: UNet2DConditionModel, text: CLIPTextModel, tokenizer: CLIPTokenizer, batch: Batch
) -> torch.Tensor:
    """Leaves gradients behind; returns each sample's mean squared error in v [b]."""
    ids = tokenizer(
        batch.prompts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
    ).input_ids
    alpha = ALPHAS[batch.timesteps].view(-1, 1, 1, 1)
    noise = torch.randn_like(batch.latents)
    noisy = alpha.sqrt() * batch.latents + (1 - alpha).sqrt() * noise
    velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * batch.latents
    # Written-out attention: on a CPU the fused kernel's backward pass alone took a third of a step.
    with reduced(), sdpa_kernel(SDPBackend.MATH):
        states = text(ids).last_hidden_state
        predicted = unet(noisy.contiguous(memory_format=torch.channels_last), batch.timesteps, states).sample
    errors = (predicted.float() - velocity).pow(2).mean((1, 2, 3))
    snr = (alpha / (1 - alpha)).flatten()
    (errors * (SNR_LIMIT / snr).clamp(max=1)).mean().backward()
    detached: torch.Tensor = errors.detach()
    return detached


class Optimizers:
    """Muon for the UNet's inner matrices, AdamW for its ends, norms and biases and for the text encoder."""

    def __init__(self, unet: UNet2DConditionModel, text: CLIPTextModel) -> None:
        inner = [
            p
            for name, p in unet.named_parameters()
            if p.ndim >= 2 and not name.startswith(("conv_in", "conv_out"))
        ]
        chosen = {id(p) for p in inner}
        outer = [p for p in unet.parameters() if id(p) not in chosen]
        self.muon = Muon(inner)
        self.everything = [*unet.parameters(), *text.parameters()]
        self.adam = torch.optim.AdamW(
            [
                {"params": outer, "weight_decay": 0.0, "share": 1.0},
                {"params": list(text.parameters()), "weight_decay": 0.0, "share": TEXT_RATE},
            ],
            lr=RATE,
            betas=(0.9, 0.99),
            eps=1e-7,
        )

    def step(self, share: float) -> None:
        """One update at `share` of the full rate, then no gradients."""
        nn.utils.clip_grad_norm_(self.everything, 1.0)
        for group in self.adam.param_groups:
            group["lr"] = RATE * group["share"] * share
        self.adam.step()
        self.muon.step(MUON_RATE * share)
        for p in self.everything:
            p.grad = None


def rate_at(done: float) -> float:
    """Share of the full rate when `done` of the time has gone."""
    falling = min(1.0, max(0.0, (done - HOLD) / (1 - HOLD)))
    return FLOOR + (1 - FLOOR) * (1 + float(np.cos(np.pi * falling))) / 2


class Average:
    """Exponential moving average of the weights; this is what is exported."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.values = [p.detach().clone() for p in parameters]

    def load(self, values: list[torch.Tensor]) -> None:
        self.values = values

    @torch.no_grad()
    def update(self, steps: int) -> None:
        torch._foreach_lerp_(
            self.values, [p.data for p in self.parameters], 1 - min(EMA, (steps + 1) / (steps + 12))
        )


class Report:
    """Loss by tenths of t. The last two tell whether the words are learned: near 1000 there is nothing
    but text.
    """

    def __init__(self, work: Workspace, clock: Clock) -> None:
        self.work, self.clock = work, clock
        self.sums, self.counts = np.zeros(10), np.zeros(10)
        self.saved = time.time()

    def add(self, timesteps: torch.Tensor, losses: torch.Tensor, steps: int) -> None:
        tenths = timesteps.numpy() // 100
        np.add.at(self.sums, tenths, losses.numpy())
        np.add.at(self.counts, tenths, 1)
        if steps % REPORT_EVERY == 0:
            means = self.sums / np.maximum(self.counts, 1)
            left = self.clock.total - self.clock.minutes
            rate = rate_at(self.clock.done)
            print(
                f"step {steps} left {left:.1f} min rate {rate:.3f} loss by t {means.round(3).tolist()}",
                flush=True,
            )
            self.work.log(
                "unet", minutes=self.clock.minutes, step=steps, **{f"t{i}": m for i, m in enumerate(means)}
            )
            self.sums[:], self.counts[:] = 0, 0

    def due_to_save(self) -> bool:
        if time.time() - self.saved < SAVE_EVERY:
            return False
        self.saved = time.time()
        return True


def save_checkpoint(
    work: Workspace, unet: UNet2DConditionModel, text: CLIPTextModel, average: Average, clock: Clock
) -> None:
    content = {
        "unet": unet.state_dict(),
        "text": text.state_dict(),
        "average": average.values,
        "minutes": min(clock.minutes, clock.total),
    }
    partial = work.checkpoint.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(work.checkpoint)


def count(model: nn.Module) -> str:
    return f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    Workspace.add_option(parser)
    parser.add_argument("--minutes", type=float, default=90, help="of the whole schedule")
    options = parser.parse_args()
    train_unet(Workspace.of(options), minutes=options.minutes)
