"""Which workers were here lately: each signs in the cache on its rounds, and the clock counts. Only a figure for
people: without the cache it is unknown, and nothing else changes."""

import json
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import redis
from django.conf import settings

SEEN: Final = "easel:workers:{pool}"  # a sorted set: worker → when it was here last
TOLD: Final = "easel:workers-told"  # a hash: worker → what it said of itself, as JSON


def sign(worker: str, pools: Sequence[str], told: Mapping[str, Any] | None = None) -> None:
    """`told` is what people are shown of the worker. Raises RedisError."""
    note = {**(told or {}), "pools": list(pools), "at": time.time()}
    _client(settings.CACHE_URL).hset(TOLD, worker, json.dumps(note))
    for pool in pools:
        _client(settings.CACHE_URL).zadd(SEEN.format(pool=pool), {worker: time.time()})


def count(pools: Sequence[str], *, seconds: float) -> dict[str, int]:
    """How many workers signed for each pool in the last so many seconds. Forgets the others. Raises RedisError."""
    client, since = _client(settings.CACHE_URL), time.time() - seconds
    found = {}
    for pool in pools:
        client.zremrangebyscore(SEEN.format(pool=pool), "-inf", f"({since}")
        found[pool] = int(client.zcard(SEEN.format(pool=pool)))
    return found


def seen(*, seconds: float) -> dict[str, dict[str, Any]]:
    """What each worker that signed lately said of itself. Forgets the others. Raises RedisError."""
    client, since = _client(settings.CACHE_URL), time.time() - seconds
    found = {worker.decode(): json.loads(note) for worker, note in client.hgetall(TOLD).items()}
    gone = [worker for worker, note in found.items() if note["at"] < since]
    if gone:
        client.hdel(TOLD, *gone)
    return {worker: note for worker, note in sorted(found.items()) if worker not in gone}


@lru_cache(maxsize=2)
def _client(url: str) -> "redis.Redis[bytes]":
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
