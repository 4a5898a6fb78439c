"""The Dramatiq broker of this process. Messages are bells: they carry no job and no prompt.

Valkey or Redis, or RabbitMQ for fleets, by the scheme of EASEL_BROKER_URL.
"""

from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import dramatiq
import redis
from django.conf import settings
from django.db import connections
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionError as BrokerConnectionError
from dramatiq.middleware import Middleware

# What says that the broker does not answer. dramatiq wraps what pika raises.
AWAY: Final = (redis.RedisError, BrokerConnectionError, OSError)
# For RabbitMQ: how long a bell may take. The clock rings again, so it is better lost than late.
_IMPATIENT: Final = {
    "connection_attempts": "1",
    "socket_timeout": "2",
    "stack_timeout": "3",
    "blocked_connection_timeout": "3",
}


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
def broker() -> dramatiq.Broker:
    """One per process. No retries, time limits or results: a bell's job is a row, and the clock rings again."""
    url = settings.BROKER_URL
    made = _rabbitmq(url) if urlsplit(url).scheme in {"amqp", "amqps"} else _valkey(url)
    dramatiq.set_broker(made)
    return made


def _valkey(url: str) -> dramatiq.Broker:
    """`maintenance_chance` is raised because maintenance is what brings back a dead worker's messages, and
    `heartbeat_timeout` because loading a model may hold the interpreter for a while.
    """
    return RedisBroker(  # type: ignore[no-untyped-call]
        client=redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2),
        middleware=[FreshConnections()],
        maintenance_chance=1_000_000,
        heartbeat_timeout=120_000,
    )


def _rabbitmq(url: str) -> dramatiq.Broker:
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    parts = urlsplit(url)
    query = urlencode(_IMPATIENT | dict(parse_qsl(parts.query)))
    made: Any = RabbitmqBroker(url=urlunsplit(parts._replace(query=query)), middleware=[FreshConnections()])
    return made  # type: ignore[no-any-return]
