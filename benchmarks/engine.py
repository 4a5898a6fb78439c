"""How many pictures a second the loop draws, beside plain diffusers and beside what the device could do at best.

Equal load: all images agree in everything but words and seed. Mixed load: five numbers of steps, four samplers, three
guidance values. The same requests, threads and model for all.
"""

import itertools
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import torch

from benchmarks.table import Table
from easel.embedded.stack import Stack
from generation.engine.device import choose_device, prepare_thread
from generation.engine.loading import Model, load
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Admission, Checkpoint, Drawing
from generation.engine.samplers import scheduler_of

IMAGES, ROUNDS, NATIVE = 32, 2, 256
THREADS = int(os.environ.get("EASEL_TORCH_THREADS", "0")) or os.cpu_count() or 1
BATCHES = (1, 4, 8, 16, 32)
WORDS = ("a red apple", "a cat", "a dog", "a robot", "a castle", "a rocket", "an owl", "a penguin", "a fish")
STARTER = Path(__file__).resolve().parents[1] / "starter" / "weights"


def measure(stack: Stack) -> Table:
    prepare_thread(THREADS)
    checkpoint = Checkpoint(name="starter", source=str(STARTER), native_size=NATIVE)
    with torch.no_grad():
        bench = Bench(load(checkpoint, choose_device("cpu")))
        best = max(BATCHES, key=bench.calls_a_second)
        engine = LoopEngine(device="cpu", threads=THREADS, most_slots=max(BATCHES))
        engine.warm_up([checkpoint])
        slots = engine.wait_for_slot(timeout=60)
        rows = [
            row for name, load_ in (("equal", equal(checkpoint)), ("mixed", mixed(checkpoint)))
            for row in compare(bench, engine, name, load_, best)
        ]  # fmt: skip
    engine.close()
    return Table(
        "Engine: the loop beside plain diffusers",
        f"{IMAGES} images of {NATIVE}×{NATIVE} with the starter model, float32, {THREADS} torch threads, the best of "
        f"{ROUNDS} alternating rounds. Best batch for the device: {best}; slots the loop measured at warm-up: {slots}. "
        "The limit is the same number of model calls and decodes at the best batch size and nothing else: no samplers, "
        "no prompts.",
        ["load", "way", "images/s", "to one by one", "of the limit"],
        rows,
    )


def equal(checkpoint: Checkpoint) -> list[Drawing]:
    return [drawing(checkpoint, at, steps=20, sampler="DPM++ 2M", cfg_scale=5.0) for at in range(IMAGES)]


def mixed(checkpoint: Checkpoint) -> list[Drawing]:
    dice = random.Random(3)
    wishes = [
        {"steps": steps, "sampler": sampler, "cfg_scale": scale}
        for steps, sampler, scale in itertools.product(
            (8, 12, 20, 30, 50), ("DPM++ 2M", "Euler", "Euler a", "UniPC"), (2.0, 4.0, 7.0)
        )
    ]
    return [drawing(checkpoint, at, **dice.choice(wishes)) for at in range(IMAGES)]


def drawing(checkpoint: Checkpoint, at: int, **wishes: Any) -> Drawing:
    return Drawing(
        image_id=uuid4(), checkpoint=checkpoint, prompt=WORDS[at % len(WORDS)], negative_prompt="", seed=at,
        width=NATIVE, height=NATIVE, **wishes,
    )  # fmt: skip


def compare(bench: "Bench", engine: LoopEngine, name: str, load_: list[Drawing], best: int) -> Iterator[list[str]]:
    ways: dict[str, Callable[[], None]] = {
        "plain diffusers, one by one": lambda: bench.in_batches(load_, 1),
        f"plain diffusers, equal parameters in batches of up to {best}": lambda: bench.in_batches(load_, best),
        "the limit": lambda: bench.at_the_limit(load_, best),
        "the loop": lambda: loop(engine, load_),
    }
    rates = dict.fromkeys(ways, 0.0)
    for _ in range(ROUNDS):
        for way, draw in ways.items():
            rates[way] = max(rates[way], len(load_) / seconds(draw))
    alone, limit = rates["plain diffusers, one by one"], rates["the limit"]
    for way, rate in rates.items():
        yield [name, way, f"{rate:.2f}", f"{rate / alone:.2f}×", f"{rate / limit:.2f}"]


def loop(engine: LoopEngine, load_: list[Drawing]) -> None:
    futures = []
    for each in load_:
        while not engine.wait_for_slot(timeout=1):
            pass
        futures.append(engine.admit(Admission(drawing=each, on_step=lambda done, total: None, stop=Event())))
    for future in futures:
        future.result()


class Bench:
    """The pipeline as diffusers' users call it, and its bare parts."""

    def __init__(self, model: Model) -> None:
        self._model, self._pipeline = model, model.pipeline
        hidden, empty = self._pipeline.encode_prompt("a cat", "cpu", 1, True, "")
        self._texts = torch.cat([empty, hidden])

    def in_batches(self, load_: list[Drawing], most: int) -> None:
        def parameters(each: Drawing) -> tuple[int, str, float]:
            return each.steps, each.sampler, each.cfg_scale

        for _, alike in itertools.groupby(sorted(load_, key=parameters), parameters):
            drawings = list(alike)
            for start in range(0, len(drawings), most):
                self._draw(drawings[start : start + most])

    def at_the_limit(self, load_: list[Drawing], batch: int) -> None:
        for _ in range(math.ceil(sum(each.steps for each in load_) / batch)):
            self._call(batch)
        for _ in range(math.ceil(len(load_) / batch)):
            self._pipeline.vae.decode(self._noise(batch))

    def calls_a_second(self, batch: int) -> float:
        self._call(batch)
        return batch / min(seconds(lambda: self._call(batch)) for _ in range(5))

    def _call(self, batch: int) -> None:
        noise = self._noise(batch)
        texts = self._texts.repeat_interleave(batch, dim=0)
        self._pipeline.unet(torch.cat([noise, noise]), torch.full((2 * batch,), 500.0), encoder_hidden_states=texts)

    def _noise(self, batch: int) -> torch.Tensor:
        config = self._pipeline.unet.config
        return torch.randn((batch, config.in_channels, config.sample_size, config.sample_size))

    def _draw(self, drawings: list[Drawing]) -> None:
        first = drawings[0]
        self._pipeline.scheduler = scheduler_of(first, self._model.scheduler_config)
        self._pipeline(
            [each.prompt for each in drawings],
            negative_prompt=[each.negative_prompt for each in drawings],
            num_inference_steps=first.steps,
            guidance_scale=first.cfg_scale,
            width=NATIVE,
            height=NATIVE,
            generator=[torch.Generator().manual_seed(each.seed) for each in drawings],
            output_type="np",
        )


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
