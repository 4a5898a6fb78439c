"""Telling the workers that drawings are no longer wanted: a message through the cache's Valkey. Losing one costs a
second, for each worker also looks at the rows it holds (`lookout`). The row is the truth."""

from collections.abc import Collection
from functools import lru_cache
from typing import Final
from uuid import UUID

import redis
import structlog
from django.conf import settings
from prometheus_client import Counter
from redis.exceptions import RedisError

from easel.database import on_commit

log = structlog.get_logger(__name__)

CHANNEL: Final = "easel:stop"
SENT: Final = Counter("easel_stop_signs_total", "Messages to workers that a drawing is not wanted", ["outcome"])


def raise_for(generation_ids: Collection[UUID]) -> None:
    """Tell the workers when the current transaction commits. A cache that is away is logged and counted, not raised."""
    news = " ".join(str(each) for each in generation_ids)
    on_commit(lambda: _publish(news))


@lru_cache(maxsize=1)
def client() -> "redis.Redis[bytes]":
    """The process's connections for these messages."""
    return redis.Redis.from_url(settings.CACHE_URL, socket_timeout=2, socket_connect_timeout=1)


def _publish(news: str) -> None:
    try:
        client().publish(CHANNEL, news)
    except (RedisError, OSError) as error:
        SENT.labels("lost").inc()
        log.warning("stop_signs.unsent", error=str(error))
    else:
        SENT.labels("sent").inc()
