"""The cache's Valkey for what Django's cache cannot say: scripts and sets. One client per process."""

import time
from functools import cache
from typing import Any, Final

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

AWAY: Final = (RedisError, OSError)  # what says that the cache does not answer
AWAY_SECONDS: Final = 1.0  # so long it is then left alone, so that calls do not queue up for its time-out


class CacheAway(Exception):
    """The cache does not answer, or did not a moment ago."""


class Patience:
    """Lets a caller do without the cache for a second after it failed, so that not each call waits for its time-out."""

    def __init__(self) -> None:
        self._until = 0.0

    def call(self, act: Any, *given: Any) -> Any:
        """`act(*given)`, or CacheAway."""
        if time.monotonic() < self._until:
            raise CacheAway("The cache did not answer a moment ago.")
        try:
            return act(*given)
        except AWAY as error:
            self._until = time.monotonic() + AWAY_SECONDS
            raise CacheAway(str(error)) from error


@cache
def client() -> "Redis[bytes]":
    return Redis.from_url(settings.CACHE_URL, socket_timeout=1.0, socket_connect_timeout=0.5)
