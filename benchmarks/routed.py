"""Whether routed pictures are more what their category asks for than the default model's: the share that has the style
its route stands for, told by a judge of styles fitted to pictures that were asked for in each style by name.

What this can show on the starter model is adherence to a style, not what a checkpoint made for portraits would do.
"""

import itertools
import math
import statistics
from concurrent.futures import Future
from pathlib import Path
from threading import Event
from typing import Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from benchmarks.adaptive import STARTER, concepts
from benchmarks.table import Table
from easel.embedded.stack import Stack
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Admission, Checkpoint, Drawing, Drawn

CHECKPOINT: Final = Checkpoint(name="starter", source=str(STARTER), native_size=256)
HELD_OUT: Final = Path(__file__).resolve().parents[1] / "generation" / "routing_data" / "held_out.tsv"
EACH: Final = 8  # prompts of a category and language
FITTED, TRIED = 40, 20  # concepts the judge is fitted to, and tried on
STEPS: Final = 20
RIDGE: Final = 10.0

Asked = tuple[str, str, str, str]  # category, style of its route, the prompt, and as the routed model is asked


def measure(stack: Stack) -> Table:
    asked = prompts()
    engine = LoopEngine(device="cpu", threads=1)
    try:
        judge = Judge(engine)
        default = drawn(engine, [prompt for _, _, prompt, _ in asked])
        routed = drawn(engine, [prompt for _, _, _, prompt in asked])
    finally:
        engine.close()
    rows = [
        _row(style, [at for at, each in enumerate(asked) if each[1] == style], default, routed, judge)
        for style in sorted({style for _, style, _, _ in asked})
    ]
    rows.append(_row("", list(range(len(asked))), default, routed, judge, styles=[style for _, style, _, _ in asked]))
    rows[-1][0] = "all"
    return Table(
        "Routed beside default pictures",
        f"{len(asked)} held-out prompts whose guess is acted on, {EACH} at most of each category and language, drawn "
        f"by the model of their route and by the default one from the same seed, {STEPS} steps of DPM++ 2M. A picture "
        "is on style if the judge sees the style in it that the route stands for; the judge is a linear one over "
        f"colors and edges, right in {judge.right:.0%} of {3 * TRIED} pictures of concepts it was not fitted to. "
        "Score: the engine's own, of how settled the picture is; routed less default, mean and 95 % confidence "
        "interval. One model in three styles draws all of them, so this is about style, not about skill.",
        ["style of the route", "prompts", "on style, default", "on style, routed", "score"],
        rows,
    )


def prompts() -> list[Asked]:
    """Held-out prompts, as the router itself sends them."""
    from generation import categories
    from generation.registry import STARTER_STYLES
    from moderation.screening.client import embed

    routes = {category: style for style in STARTER_STYLES for category in style.categories}
    lines = [line.split("\t") for line in HELD_OUT.read_text(encoding="utf-8").splitlines()[1:]]
    found: list[Asked] = []
    for _, alike in itertools.groupby(sorted(lines), key=lambda line: line[:2]):
        kept = [prompt for _, _, prompt in alike][:EACH]
        for prompt in kept:
            (embedding,) = embed([prompt])
            guess = categories.head().guess(embedding)
            if guess.confidence >= categories.head().threshold and guess.category in routes:
                route = routes[guess.category]
                found.append((guess.category, route.style, prompt, f"{route.prompt_prefix} {prompt}"))
    return found


class Judge:
    """Which of the three styles a picture has."""

    def __init__(self, engine: LoopEngine) -> None:
        from generation.registry import STARTER_STYLES

        chosen = concepts(FITTED + TRIED, seed=5)
        self._styles = [each.style for each in STARTER_STYLES]
        pictures = {
            each.style: drawn(engine, [f"{each.prompt_prefix} {name}" for name in chosen]) for each in STARTER_STYLES
        }
        inputs = np.stack([seen(each) for style in self._styles for each in pictures[style][:FITTED]])
        self._mean, self._scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
        inputs = self._prepared(inputs)
        wanted = np.repeat(np.eye(3), FITTED, axis=0)
        self._weights = np.linalg.solve(inputs.T @ inputs + RIDGE * np.eye(inputs.shape[1]), inputs.T @ wanted)
        self.right = statistics.mean(
            self.style_of(each) == style for style in self._styles for each in pictures[style][FITTED:]
        )

    def style_of(self, picture: Drawn) -> str:
        return self._styles[int((self._prepared(seen(picture)[None]) @ self._weights).argmax())]

    def _prepared(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = (inputs - self._mean) / self._scale
        return np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)


def seen(picture: Drawn) -> NDArray[np.float64]:
    """How often each of 64 colors occurs, how strong edges are, and how much of it is one flat color."""
    pixels = picture.pixels.astype(np.float64) / 255
    colors = (np.minimum(pixels * 4, 3).astype(int) * (16, 4, 1)).sum(axis=2)
    light = pixels.mean(axis=2)
    edges = np.hypot(np.diff(light, axis=0)[:, :-1], np.diff(light, axis=1)[:-1])
    strengths = np.histogram(np.clip(edges, 0, 0.5), bins=16, range=(0, 0.5))[0] / edges.size
    histogram = np.bincount(colors.ravel(), minlength=64) / colors.size
    return np.concatenate([np.sqrt(histogram), np.sqrt(strengths)])


def drawn(engine: LoopEngine, texts: list[str]) -> list[Drawn]:
    """Seeds are the places in the list."""
    futures: list[Future[Drawn]] = []
    for seed, text in enumerate(texts):
        while not engine.wait_for_slot(timeout=10):
            pass
        drawing = Drawing(
            image_id=uuid4(), checkpoint=CHECKPOINT, prompt=text, negative_prompt="", steps=STEPS, width=256,
            height=256, cfg_scale=4.0, sampler="DPM++ 2M", seed=seed,
        )  # fmt: skip
        futures.append(engine.admit(Admission(drawing=drawing, on_step=lambda done, total: None, stop=Event())))
    return [future.result() for future in futures]


def _row(
    style: str, places: list[int], default: list[Drawn], routed: list[Drawn], judge: Judge,
    styles: list[str] | None = None,
) -> list[str]:  # fmt: skip
    wanted = styles or [style] * len(default)
    scores = [float(routed[at].quality_score or 0) - float(default[at].quality_score or 0) for at in places]
    half = 1.96 * statistics.stdev(scores) / math.sqrt(len(scores))
    return [
        style, str(len(places)), *(
            f"{statistics.mean(judge.style_of(pictures[at]) == wanted[at] for at in places):.0%}"
            for pictures in (default, routed)
        ), f"{statistics.mean(scores):+.3f} ± {half:.3f}",
    ]  # fmt: skip
