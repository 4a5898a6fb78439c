"""What both peers serve: a batch of requests, drawn by plain diffusers in groups of equal parameters."""

import itertools
import os
from pathlib import Path
from typing import Any

import generation.engine  # noqa: F401  says how torch's threads wait, as in the engine

STARTER = Path(__file__).resolve().parents[2] / "starter" / "weights"
BATCH = int(os.environ.get("PEER_BATCH", "16"))
WAIT = float(os.environ.get("PEER_WAIT", "0.05"))  # seconds that a batch waits for company

Request = dict[str, Any]


def parameters(request: Request) -> tuple[Any, ...]:
    """What one call of a pipeline cannot mix."""
    return request["steps"], request["sampler"], request["cfg_scale"], request["width"], request["height"]


class Painter:
    """The starter model's pipeline. Not thread-safe."""

    def __init__(self, threads: int) -> None:
        from generation.engine.device import choose_device, prepare_thread
        from generation.engine.loading import load
        from generation.engine.protocol import Checkpoint

        prepare_thread(threads)
        self._model = load(Checkpoint(name="starter", source=str(STARTER)), choose_device("cpu"))

    def draw(self, requests: list[Request]) -> list[dict[str, float]]:
        answers: dict[int, dict[str, float]] = {}
        order = sorted(range(len(requests)), key=lambda at: parameters(requests[at]))
        for _, alike in itertools.groupby(order, lambda at: parameters(requests[at])):
            group = list(alike)
            for at, picture in zip(group, self._call([requests[at] for at in group]), strict=True):
                answers[at] = {"mean": float(picture.mean())}
        return [answers[at] for at in range(len(requests))]

    def _call(self, requests: list[Request]) -> Any:
        import torch

        from generation.engine.samplers import scheduler_for
        from generation.samplers import find

        first = requests[0]
        pipeline = self._model.pipeline
        pipeline.scheduler = scheduler_for(find(first["sampler"]), self._model.scheduler_config, first["steps"])
        return pipeline(
            [each["prompt"] for each in requests],
            negative_prompt=[""] * len(requests),
            num_inference_steps=first["steps"],
            guidance_scale=first["cfg_scale"],
            width=first["width"],
            height=first["height"],
            generator=[torch.Generator().manual_seed(each["seed"]) for each in requests],
            output_type="np",
        ).images
