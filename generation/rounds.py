"""A worker goes its rounds: it says that it is here, and where it has heard no bell for a while it looks by itself, so
that a broker that is away costs seconds, never work."""

import time
from collections.abc import Sequence
from threading import Event, Thread
from typing import Final
from uuid import uuid4

import redis
import structlog
from django.conf import settings
from django.db import connections
from redis.exceptions import RedisError

from generation.production import Production

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 3.0
SEEN: Final = "easel:workers:{pool}"  # a sorted set: worker → when it was here last, by the cache's host


class Rounds:
    def __init__(self, production: Production, pools: Sequence[str]) -> None:
        self._production, self._pools = production, pools
        self._name = str(uuid4())
        self._cache = redis.Redis.from_url(settings.CACHE_URL, socket_timeout=1, socket_connect_timeout=1)
        self._closing = Event()
        self._thread = Thread(target=self._run, name="rounds", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(EVERY_SECONDS):
            self._sign()
            for pool in self._pools:
                try:
                    self._production.answer(pool)
                except Exception as error:  # noqa: BLE001  the database may be away; the next round looks again
                    log.warning("rounds.failed", pool=pool, error=f"{type(error).__name__}: {error}")
                finally:
                    connections.close_all()

    def _sign(self) -> None:
        try:
            for pool in self._pools:
                self._cache.zadd(SEEN.format(pool=pool), {self._name: time.time()})
        except (RedisError, OSError) as error:
            log.debug("rounds.unsigned", error=str(error))


def seen(pools: Sequence[str], *, seconds: float) -> dict[str, int]:
    """How many workers signed for each pool in the last so many seconds. Forgets the others."""
    client = redis.Redis.from_url(settings.CACHE_URL, socket_timeout=1, socket_connect_timeout=1)
    since = time.time() - seconds
    found = {}
    for pool in pools:
        client.zremrangebyscore(SEEN.format(pool=pool), "-inf", f"({since}")
        found[pool] = int(client.zcard(SEEN.format(pool=pool)))
    return found
