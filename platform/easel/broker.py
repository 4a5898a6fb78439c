"""The Dramatiq broker of this process. Messages are bells: they carry no job and no prompt."""

from functools import lru_cache

import dramatiq
import redis
from django.conf import settings
from django.db import connections
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware


class FreshConnections(Middleware):
    """Give database connections back after every message: one that broke meanwhile is not kept."""

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: object = None,
        exception: BaseException | None = None,
    ) -> None:
        connections.close_all()


@lru_cache(maxsize=1)
def broker() -> RedisBroker:
    """One per process. There are no retries, time limits or results: a bell's job is a row, and the clock rings again.

    `maintenance_chance` is raised because maintenance is what brings back a dead worker's messages, and
    `heartbeat_timeout` because loading a model may hold the interpreter for a while.
    """
    made = RedisBroker(  # type: ignore[no-untyped-call]
        client=redis.Redis.from_url(settings.BROKER_URL, socket_timeout=5, socket_connect_timeout=2),
        middleware=[FreshConnections()],
        maintenance_chance=1_000_000,
        heartbeat_timeout=120_000,
    )
    dramatiq.set_broker(made)
    return made
