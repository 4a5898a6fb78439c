"""The worker looks out for cancellations: at once by message, and every second at the rows it holds, whatever became of
the message. Both run in threads that are not the device's."""

from collections.abc import Callable, Iterable
from threading import Event, Lock, Thread
from typing import Final
from uuid import UUID

import structlog
from django.db import connections
from redis.client import PubSub
from redis.exceptions import RedisError

from generation import stop_signs
from generation.source import WorkSource

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
LISTEN_SECONDS: Final = 0.05  # a stopping worker, and every test that has one, waits for the end of it


class Lookout:
    """`keep` names what to do when a generation is canceled. It is done once, from a thread here."""

    def __init__(self, source: WorkSource) -> None:
        self._source = source
        self._kept: dict[UUID, tuple[UUID, Callable[[], None]]] = {}  # generation → its lease, what to do
        self._lock = Lock()
        self._closing = Event()
        self._threads = [
            Thread(target=self._look_often, name="lookout", daemon=True),
            Thread(target=self._listen, name="lookout-messages", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def keep(self, generation_id: UUID, lease_id: UUID, stop: Callable[[], None]) -> None:
        with self._lock:
            self._kept[generation_id] = (lease_id, stop)

    def drop(self, generation_id: UUID, lease_id: UUID) -> None:
        with self._lock:
            if generation_id in self._kept and self._kept[generation_id][0] == lease_id:
                del self._kept[generation_id]

    def close(self) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join(timeout=3)

    def look(self) -> None:
        """Ask the rows now."""
        with self._lock:
            held = {lease_id: generation_id for generation_id, (lease_id, _) in self._kept.items()}
        if held:
            self._stop(held[lease_id] for lease_id in self._source.canceled(held))

    def _stop(self, generation_ids: Iterable[UUID]) -> None:
        for generation_id in generation_ids:
            with self._lock:
                kept = self._kept.pop(generation_id, None)
            if kept is not None:
                log.info("lookout.canceled", generation=str(generation_id))
                kept[1]()

    def _look_often(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  without this thread cancels may go unheard
                log.warning("lookout.rows_unread", error=f"{type(error).__name__}: {error}")
            finally:
                connections.close_all()

    def _listen(self) -> None:
        client = stop_signs.client()  # held: a client that is forgotten closes its connections
        while not self._closing.is_set():
            try:
                with client.pubsub(ignore_subscribe_messages=True) as messages:
                    messages.subscribe(stop_signs.CHANNEL)
                    self._read(messages)
            except (RedisError, OSError) as error:
                log.warning("lookout.deaf", error=str(error))
                self._closing.wait(LOOK_SECONDS)

    def _read(self, messages: PubSub) -> None:
        while not self._closing.is_set():
            message = messages.get_message(timeout=LISTEN_SECONDS)
            if message is not None:
                self._stop([UUID(word) for word in message["data"].decode().split()])
