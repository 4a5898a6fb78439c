"""Adaptive steps: what a quality target saves, scoring included, and what it costs in the picture.

`python -m benchmarks.adaptive` draws 50 prompts with the starter model, whole and with targets, and prints a table.
Time is the processor's, of the whole process: it holds on a busy machine.
"""

import json
import math
import random
import statistics
import time
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import numpy as np

from benchmarks.table import Table
from easel.embedded.stack import Stack
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Admission, Checkpoint, Drawing, Drawn

STARTER = Path(__file__).resolve().parents[1] / "starter" / "weights"
PROMPTS, STEPS = 50, 30
TARGETS = (None, 0.9, 0.94, 0.96)


def main() -> None:
    print(measure().markdown())


def measure(stack: Stack | None = None) -> Table:
    """Whole and with each target, in turns, so that all have the same machine."""
    engine = LoopEngine(device="cpu", threads=1)
    drawn: dict[float | None, list[Drawn]] = {target: [] for target in TARGETS}
    seconds = dict.fromkeys(TARGETS, 0.0)
    _draw(engine, "warm-up", 0, None)
    for at, prompt in enumerate(prompts()):
        for target in TARGETS:
            began = time.process_time()
            drawn[target].append(_draw(engine, prompt, at, target))
            seconds[target] += time.process_time() - began
    engine.close()
    return Table(
        "Adaptive steps",
        f"{PROMPTS} prompts, starter model, {STEPS} steps of DPM++ 2M, `min_steps` half of them. Score: that with a "
        "target less that of the whole drawing, mean and 95 % confidence interval. Pixels: mean absolute difference "
        "from the whole drawing, of 255.",
        ["target", "steps run", "CPU saved", "score", "pixels"],
        [_row(target, drawn, seconds) for target in TARGETS if target is not None],
    )


def prompts() -> list[str]:
    return [f"a {name}" for name in concepts(PROMPTS, seed=11)]


def concepts(count: int, *, seed: int) -> list[str]:
    """Some of what the starter model can draw."""
    known = json.loads((STARTER.parent / "vocabulary.json").read_text(encoding="utf-8"))["concepts"]
    return random.Random(seed).sample(sorted({concept["name"] for concept in known}), count)


def _row(target: float, drawn: dict[float | None, list[Drawn]], seconds: dict[float | None, float]) -> list[str]:
    pairs = list(zip(drawn[target], drawn[None], strict=True))
    scores = [float(early.quality_score or 0) - float(whole.quality_score or 0) for early, whole in pairs]
    pixels = [float(np.abs(early.pixels.astype(float) - whole.pixels).mean()) for early, whole in pairs]
    steps = statistics.mean(early.steps_run for early, _ in pairs)
    return [
        f"{target}", f"{steps:.1f} of {STEPS}", f"{1 - seconds[target] / seconds[None]:.0%}", _interval(scores),
        _interval(pixels),
    ]  # fmt: skip


def _interval(values: list[float]) -> str:
    half = 1.96 * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):.3f} ± {half:.3f}"


def _draw(engine: LoopEngine, prompt: str, seed: int, target: float | None) -> Drawn:
    wishes: dict[str, Any] = {"quality_target": target}
    drawing = Drawing(
        image_id=uuid4(), checkpoint=Checkpoint(name="starter", source=str(STARTER), native_size=256), prompt=prompt,
        negative_prompt="", steps=STEPS, width=256, height=256, cfg_scale=4.0, sampler="DPM++ 2M", seed=seed, **wishes,
    )  # fmt: skip
    engine.wait_for_slot(60)
    return engine.admit(Admission(drawing=drawing, on_step=lambda done, total: None, stop=Event())).result()


if __name__ == "__main__":
    main()
