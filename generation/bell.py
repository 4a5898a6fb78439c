"""Ringing: a message that says only "there is work in this pool". Losing one costs time, never work: the clock rings
again for every pool with ready work, and an idle worker looks by itself.

Bells of a pool are one: while a bell lies in the queue, whoever takes it will claim after that moment, and so sees all
that was committed before it.
"""

from typing import Final

import structlog
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from prometheus_client import Counter

from easel.broker import AWAY, broker
from easel.tracing import traced

log = structlog.get_logger(__name__)

RUNG = Counter("easel_bells_total", "Bells rung for a pool", ["pool", "outcome"])
ACTOR: Final = "draw-{pool}"
QUEUE: Final = "pool-{pool}"


@traced("bell")
def ring(pool: str) -> None:
    """Wake a worker of the pool. A broker that is away is logged and counted, not raised: the row is the truth."""
    message: Message[None] = Message(
        queue_name=QUEUE.format(pool=pool), actor_name=ACTOR.format(pool=pool), args=(), kwargs={}, options={}
    )
    try:
        if _lies_there(pool):
            RUNG.labels(pool, "coalesced").inc()
            return
        broker().enqueue(message)
    except AWAY as error:
        RUNG.labels(pool, "lost").inc()
        log.warning("bell.lost", pool=pool, error=str(error))
    else:
        RUNG.labels(pool, "rung").inc()


def _lies_there(pool: str) -> bool:
    """Whether a bell of this pool waits for a worker. One that a worker has taken, busy or not, does not count.
    RabbitMQ is not asked: there each bell is a message of its own, which costs a little and harms nothing."""
    made = broker()
    if not isinstance(made, RedisBroker):
        return False
    return int(made.client.llen(f"{made.namespace}:{QUEUE.format(pool=pool)}")) > 0
