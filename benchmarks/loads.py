"""Loads for whatever draws: requests that are all equal or mixed, all at once or as they come (Poisson)."""

import itertools
import math
import random
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Request = dict[str, Any]
Draw = Callable[[Request], object]  # returns when the picture is there

SHORT = 12  # steps: jobs that a customer expects to be quick
WORDS = ("a red apple", "a cat", "a dog", "a robot", "a castle", "a rocket", "an owl", "a penguin", "a fish")
MIXED = list(
    itertools.product(
        (8, 12, 20, 30, 50), ("DPM++ 2M", "Euler", "Euler a", "UniPC"), (2.0, 4.0, 7.0), (256, 256, 256, 320)
    )
)


@dataclass(frozen=True)
class Outcome:
    images: int
    seconds: float  # from the first arrival to the last picture
    waits: list[tuple[int, float]]  # steps, and seconds from arrival to picture
    generator_cpu: float  # seconds of processor that sending and waiting took in this process
    server_cpu: float = 0.0  # that of whatever drew, where somebody has looked

    @property
    def rate(self) -> float:
        return self.images / self.seconds

    def percentile(self, share: float, *, short: bool = False) -> float:
        """Seconds; not a number where no such job was among them."""
        waits = sorted(wait for steps, wait in self.waits if not short or steps <= SHORT)
        if not waits:
            return math.nan
        return waits[min(len(waits) - 1, int(len(waits) * share))]


def equal(count: int) -> list[Request]:
    return [_request(at, 20, "DPM++ 2M", 4.0, 256) for at in range(count)]


def mixed(count: int, *, seed: int = 3) -> list[Request]:
    dice = random.Random(seed)
    return [_request(at, *dice.choice(MIXED)) for at in range(count)]


def at_once(requests: list[Request], draw: Draw) -> Outcome:
    return _send(requests, [0.0] * len(requests), draw)


def poisson(requests: list[Request], draw: Draw, *, rate: float, seed: int = 5) -> Outcome:
    """`rate` arrivals a second on the average, the same moments for the same seed."""
    dice = random.Random(seed)
    arrivals = list(itertools.accumulate(dice.expovariate(rate) for _ in requests))
    return _send(requests, arrivals, draw)


def _send(requests: list[Request], arrivals: list[float], draw: Draw) -> Outcome:
    waits: list[tuple[int, float]] = []
    used = _cpu()
    began = time.perf_counter()

    def ask(request: Request, arrival: float) -> None:
        draw(request)
        waits.append((request["steps"], time.perf_counter() - began - arrival))

    threads = []
    for request, arrival in zip(requests, arrivals, strict=True):
        time.sleep(max(0.0, began + arrival - time.perf_counter()))
        threads.append(threading.Thread(target=ask, args=(request, arrival)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return Outcome(len(waits), time.perf_counter() - began, waits, _cpu() - used)


def _request(at: int, steps: int, sampler: str, cfg_scale: float, edge: int) -> Request:
    return {
        "prompt": WORDS[at % len(WORDS)], "seed": at, "steps": steps, "sampler": sampler, "cfg_scale": cfg_scale,
        "width": edge, "height": edge,
    }  # fmt: skip


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
