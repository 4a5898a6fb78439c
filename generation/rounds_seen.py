"""Which workers were here lately: each signs in the cache on its rounds, and the clock counts. Only a figure for
people: without the cache it is unknown, and nothing else changes."""

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import redis
from django.conf import settings

SEEN: Final = "easel:workers:{pool}"  # a sorted set: worker → when it was here last


def sign(worker: str, pools: Sequence[str]) -> None:
    """Raises RedisError."""
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


@lru_cache(maxsize=2)
def _client(url: str) -> "redis.Redis[bytes]":
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
