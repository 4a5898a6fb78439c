"""A cache that counts in one message. django-ratelimit counts by `add` and then `incr`, which would be three."""

from functools import cached_property
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache


class CountingCache(RedisCache):
    """For django-ratelimit alone (RATELIMIT_USE_CACHE): `add` counts, `incr` tells what it counted.

    Django makes one instance per thread, and nobody else calls between the two.
    """

    _counted = 0

    @cached_property
    def _counter(self) -> Any:
        """Kept: Django's own backend makes a client anew for each command, which costs as much as the command."""
        return self._cache.get_client(None, write=True)

    def add(self, key: str, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made = self.make_and_validate_key(key, version=version)
        self._counted = int(self._counter.incrby(made, int(value)))
        first = bool(self._counted == value)
        if first:  # should this be cut off, the cache drops the count when it needs the room
            self._counter.expire(made, int(self.get_backend_timeout(timeout) or 0))
        return first

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        return self._counted
