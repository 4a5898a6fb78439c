"""A worker goes its rounds: it says that it is here, and where it has heard no bell for a while it looks by itself, so
that a broker that is away costs seconds, never work."""

import os
import socket
import time
from collections.abc import Sequence
from threading import Event, Thread
from typing import Final
from uuid import uuid4

import structlog
from django.db import connections
from redis.exceptions import RedisError

from easel import __version__
from generation import rounds_seen
from generation.production import Production

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 3.0


class Rounds:
    def __init__(self, production: Production, pools: Sequence[str]) -> None:
        self._production, self._pools = production, pools
        self._name = str(uuid4())
        self._who = {"host": socket.gethostname(), "process": os.getpid(), "since": time.time(), "version": __version__}
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
            rounds_seen.sign(self._name, self._pools, {**self._who, **self._production.standing()})
        except (RedisError, OSError) as error:
            log.debug("rounds.unsigned", error=str(error))
