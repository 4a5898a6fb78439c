"""How far a drawing is: worth knowing, not worth a transaction. It lives in the cache Valkey for a minute.

The engine's thread only notes a number; a thread of its own carries the newest ones out. Without the cache, progress
is unknown and everything else goes on.
"""

from threading import Event, Lock, Thread
from typing import Final
from uuid import UUID

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError

from generation import events

log = structlog.get_logger(__name__)

KEEP_SECONDS: Final = 60
PUBLISH_SECONDS: Final = 0.2


class ProgressBoard:
    """The worker's side."""

    def __init__(self) -> None:
        self._news: dict[UUID, tuple[UUID, float]] = {}
        self._lock = Lock()
        self._closing = Event()
        self._thread = Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def note(self, generation_id: UUID, fraction: float, *, tenant_id: UUID) -> None:
        """Remember the newest figure (0 to 1). Returns at once."""
        with self._lock:
            self._news[generation_id] = (tenant_id, fraction)

    def publish(self) -> None:
        with self._lock:
            news, self._news = self._news, {}
        if not news:
            return
        try:
            cache.set_many({_key(each): fraction for each, (_, fraction) in news.items()}, timeout=KEEP_SECONDS)
        except (RedisError, OSError) as error:
            log.warning("progress.unpublished", error=str(error))
        for each, (tenant_id, fraction) in news.items():
            events.publish(each, "progress", {"progress": round(fraction, 4)}, tenant_id=tenant_id)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._closing.wait(PUBLISH_SECONDS):
            self.publish()


def of(generation_id: UUID) -> float | None:
    """The web's side: the last published figure, or None."""
    try:
        fraction = cache.get(_key(generation_id))
    except (RedisError, OSError) as error:
        log.warning("progress.unread", error=str(error))
        return None
    return float(fraction) if fraction is not None else None


def _key(generation_id: UUID) -> str:
    return f"progress:{generation_id}"
