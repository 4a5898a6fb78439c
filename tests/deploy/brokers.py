"""What rings the bells: the stack's Valkey or a RabbitMQ, and how many bells lie there."""

from typing import Protocol
from urllib.parse import urlsplit

import pika
import redis

from easel.embedded.stack import Stack
from tests.deploy.rabbit import RabbitMQ


class Broker(Protocol):
    @property
    def url(self) -> str: ...

    def stop(self) -> None: ...

    def start(self) -> None: ...

    def lying(self, queue: str) -> int:
        """Bells that nobody has taken yet."""


class Valkey:
    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.url = stack.environment("web")["EASEL_BROKER_URL"]

    def stop(self) -> None:
        self._stack.halt("broker")

    def start(self) -> None:
        self._stack.start("broker")

    def lying(self, queue: str) -> int:
        with redis.Redis.from_url(self.url) as client:
            return int(client.llen(f"dramatiq:{queue}"))  # type: ignore[arg-type]


class Rabbit:
    def __init__(self, server: RabbitMQ) -> None:
        assert urlsplit(server.url).scheme == "amqp"
        self._server, self.url = server, server.url

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.start()

    def lying(self, queue: str) -> int:
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            return int(connection.channel().queue_declare(queue, passive=True).method.message_count)
