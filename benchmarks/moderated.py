"""What moderation costs a request and the device: judging a prompt, new and repeated, and decoding previews.

Processor time is that of both processes, the one that asks and the screening process, with one thread each.
"""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

from benchmarks.table import Table, milliseconds
from easel.embedded.stack import Stack

PROMPTS, IMAGES, STEPS = 200, 192, 20
PREVIEW_AT = 0.45
TICK: float = 1 / os.sysconf("SC_CLK_TCK")


def measure(stack: Stack) -> Table:
    new, repeated = _prompts(stack)
    plain, previewed, share = _previews()
    return Table(
        "Moderation: prompts and previews",
        f"{PROMPTS} prompts of the test part, median: with the way over the loopback, and processor time of both "
        f"processes together (its mean, for a tick is 10 ms). {IMAGES} images of 256×256 with the starter model, "
        f"{STEPS} steps, float32, one torch thread, without and with a preview of each at {PREVIEW_AT:.0%}. Targets: "
        "30 ms and 2 ms of one core, 2 % of the device's time.",
        ["new prompt", "its processor time", "repeated prompt", "drawing", "with previews", "share of previews"],
        [[milliseconds(new[0]), milliseconds(new[1]), milliseconds(repeated), f"{plain:.1f} s", f"{previewed:.1f} s",
          f"{share:.2%}"]],
    )  # fmt: skip


def _prompts(stack: Stack) -> tuple[tuple[float, float], float]:
    from moderation import policy, prompts
    from moderation.data.make import load
    from moderation.screening import client

    effective = policy.Effective(1, False, policy.DEFAULT, {})
    texts = [each["text"] for each in load("test")][:: 1760 // PROMPTS][:PROMPTS]
    prompts.judge("to load everything", "", effective)
    client.forget()

    def judge(text: str) -> object:
        return prompts.judge(text, "", effective)

    pid = stack.pid("screening")
    before = _processor_seconds(pid)
    new = _median(judge, texts)
    spent = (_processor_seconds(pid) - before) / len(texts)
    return (new, spent), _median(judge, texts)


def _median(act: Callable[[str], object], texts: list[str]) -> float:
    seconds = []
    for text in texts:
        started = time.perf_counter()
        act(text)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _processor_seconds(pid: int | None) -> float:
    """Of this process and that one."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) * TICK


def _previews() -> tuple[float, float, float]:
    """Seconds without and with previews, and what decoding them took of the engine's thread while it was busy."""
    from easel import metrics
    from generation.engine.loop import LoopEngine
    from generation.engine.protocol import Checkpoint

    starter = Path(__file__).resolve().parents[1] / "starter" / "weights"
    checkpoint = Checkpoint(name="starter", source=str(starter), native_size=256)
    engine = LoopEngine(device="cpu", threads=1, most_slots=8)
    engine.warm_up([checkpoint])
    try:
        plain = _draw(engine, checkpoint, ())
        _draw(engine, checkpoint, (PREVIEW_AT,))  # what was saved up for previews is used up
        counted = metrics.ENGINE_PREVIEW_SECONDS.labels("starter")
        before = counted._value.get()
        previewed = _draw(engine, checkpoint, (PREVIEW_AT,))
        return plain, previewed, (counted._value.get() - before) / previewed
    finally:
        engine.close()


def _draw(engine: Any, checkpoint: Any, preview_at: tuple[float, ...]) -> float:
    from generation.engine.protocol import Admission, Drawing

    futures: list[Future[Any]] = []
    started = time.perf_counter()
    for seed in range(IMAGES):
        while not engine.wait_for_slot(timeout=10):
            pass
        drawing = Drawing(
            image_id=uuid4(), checkpoint=checkpoint, prompt="a red apple", negative_prompt="", steps=STEPS, width=256,
            height=256, cfg_scale=5.0, sampler="DPM++ 2M", seed=seed,
        )  # fmt: skip
        admission = Admission(
            drawing=drawing, on_step=lambda done, total: None, stop=Event(), preview_at=preview_at,
            on_preview=lambda preview: None,
        )  # fmt: skip
        futures.append(engine.admit(admission))
    wait(futures)
    return time.perf_counter() - started
