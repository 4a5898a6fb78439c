"""`python -m tests.web.breaking NAME SECONDS`: a process that calls a sick service under a shared breaker, on and on.

The service is a key in Valkey that says whether it is well. It counts how many calls it gets while it is sick and how
many of them at the same time, so that the test can see what went out.
"""

import json
import os
import sys
import time

from redis import Redis

from easel.breaker import Breaker, BreakerOpen, Rules

RULES = Rules(failures=5, open_seconds=0.4, longest_open_seconds=0.4, probe_seconds=5)


class Sick(Exception):
    """What the service answers while it is ill."""


def call(redis: "Redis[bytes]", name: str) -> None:
    together = redis.incr(f"{name}:now")
    try:
        redis.lpush(f"{name}:together", together)
        time.sleep(0.05)
        if redis.get(f"{name}:well") is None:
            raise Sick
    finally:
        redis.decr(f"{name}:now")


def main(name: str, seconds: float) -> None:
    import django

    django.setup()
    redis = Redis.from_url(os.environ["EASEL_CACHE_URL"])
    breaker = Breaker(name, rules=RULES)
    told = {"ok": 0, "failed": 0, "refused": 0, "probes": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with breaker.guard():
                call(redis, name)
            told["ok"] += 1
        except Sick:
            told["failed"] += 1
        except BreakerOpen:
            told["refused"] += 1
            time.sleep(0.005)
    told["probes"] = int(_sample("easel_breaker_probes_total", name=breaker.label))
    for to in ("open", "open_again", "closed"):
        told[to] = int(_sample("easel_breaker_turns_total", name=breaker.label, to=to))
    print(json.dumps(told))


def _sample(metric: str, **labels: str) -> float:
    from prometheus_client import REGISTRY

    return REGISTRY.get_sample_value(metric, labels) or 0.0


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
