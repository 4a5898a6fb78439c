"""What goes wrong: each fault breaks something, waits, and mends it. Which, when and for how long is the seed's."""

import random
import signal
import time
from collections.abc import Callable
from typing import Final

from tests.chaos.town import CLOCKS, WORKERS, Town

Fault = Callable[[Town, random.Random], str]


def kill_a_worker(town: Town, chance: random.Random) -> str:
    name = chance.choice(WORKERS)
    town.send(name, signal.SIGKILL)
    return name


def kill_both_workers(town: Town, chance: random.Random) -> str:
    for name in WORKERS:
        town.send(name, signal.SIGKILL)
    return "both"


def freeze_a_worker(town: Town, chance: random.Random) -> str:
    """Longer than its leases live: when it wakes, somebody else has its jobs."""
    return _freeze(town, chance.choice(WORKERS), chance.uniform(4.0, 8.0))


def freeze_a_worker_shortly(town: Town, chance: random.Random) -> str:
    return _freeze(town, chance.choice(WORKERS), chance.uniform(0.5, 2.0))


def ask_a_worker_to_stop(town: Town, chance: random.Random) -> str:
    name = chance.choice(WORKERS)
    town.send(name, signal.SIGTERM)
    return name


def kill_the_web(town: Town, chance: random.Random) -> str:
    town.send("web", signal.SIGKILL)
    return ""


def kill_a_web_process(town: Town, chance: random.Random) -> str:
    town.send_to_a_web_process(signal.SIGKILL)
    return ""


def kill_a_clock(town: Town, chance: random.Random) -> str:
    name = chance.choice(CLOCKS)
    town.send(name, signal.SIGKILL)
    return name


def freeze_a_clock(town: Town, chance: random.Random) -> str:
    return _freeze(town, chance.choice(CLOCKS), chance.uniform(2.0, 6.0))


def kill_postgres(town: Town, chance: random.Random) -> str:
    town.send_to_service("postgres", signal.SIGKILL)
    return ""


def restart_postgres(town: Town, chance: random.Random) -> str:
    town.send_to_service("postgres", signal.SIGINT)
    return ""


def kill_the_broker(town: Town, chance: random.Random) -> str:
    town.send_to_service("broker", signal.SIGKILL)
    return ""


def kill_the_cache(town: Town, chance: random.Random) -> str:
    town.send_to_service("cache", signal.SIGKILL)
    return ""


def kill_the_store(town: Town, chance: random.Random) -> str:
    town.send_to_service("s3", signal.SIGKILL)
    return ""


def kill_the_screening(town: Town, chance: random.Random) -> str:
    town.send_to_service("screening", signal.SIGKILL)
    return ""


def freeze_the_screening(town: Town, chance: random.Random) -> str:
    """It takes questions and answers none."""
    seconds = chance.uniform(3.0, 8.0)
    town.send_to_service("screening", signal.SIGSTOP)
    time.sleep(seconds)
    town.send_to_service("screening", signal.SIGCONT)
    return f"{seconds:.1f} s"


def cut_a_line(town: Town, chance: random.Random) -> str:
    """No process dies, but nobody reaches the service."""
    name, seconds = chance.choice(sorted(town.proxies)), chance.uniform(1.0, 6.0)
    town.proxies[name].cut()
    time.sleep(seconds)
    town.proxies[name].heal()
    return f"{name}, {seconds:.1f} s"


def reset_connections(town: Town, chance: random.Random) -> str:
    name = chance.choice(sorted(town.proxies))
    for _ in range(5):
        town.proxies[name].reset()
        time.sleep(0.2)
    return name


def slow_a_line(town: Town, chance: random.Random) -> str:
    name, latency = chance.choice(sorted(town.proxies)), chance.uniform(0.02, 0.15)
    town.proxies[name].slow(latency)
    time.sleep(chance.uniform(2.0, 4.0))
    town.proxies[name].heal()
    return f"{name}, {latency * 1000:.0f} ms"


def take_the_store_away(town: Town, chance: random.Random) -> str:
    seconds = chance.uniform(5.0, 12.0)
    town.proxies["s3"].cut()
    time.sleep(seconds)
    town.proxies["s3"].heal()
    return f"{seconds:.1f} s"


FAULTS: Final[dict[Fault, int]] = {
    kill_a_worker: 5,
    kill_both_workers: 2,
    freeze_a_worker: 4,
    freeze_a_worker_shortly: 2,
    ask_a_worker_to_stop: 3,
    kill_the_web: 2,
    kill_a_web_process: 2,
    kill_a_clock: 2,
    freeze_a_clock: 2,
    kill_postgres: 3,
    restart_postgres: 3,
    kill_the_broker: 2,
    kill_the_cache: 2,
    kill_the_store: 1,
    kill_the_screening: 3,
    freeze_the_screening: 3,
    cut_a_line: 5,
    reset_connections: 4,
    slow_a_line: 3,
    take_the_store_away: 3,
}


def plan(faults: int, chance: random.Random) -> list[Fault]:
    """Each kind about as often as its weight; with as many faults as kinds, each at least once."""
    kinds = list(FAULTS)
    chosen = chance.sample(kinds, len(kinds)) if faults >= len(kinds) else []
    chosen += chance.choices(kinds, weights=list(FAULTS.values()), k=faults - len(chosen))
    chance.shuffle(chosen)
    return chosen


def _freeze(town: Town, name: str, seconds: float) -> str:
    town.send(name, signal.SIGSTOP)
    time.sleep(seconds)
    town.send(name, signal.SIGCONT)
    return f"{name}, {seconds:.1f} s"
