"""RabbitMQ as the broker, for this process itself; what customers and workers see of it is in test_end_to_end.py."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from django.test import override_settings

from easel import clock
from easel.broker import broker
from easel.health import check_broker
from tests.cast import Customer
from tests.deploy.rabbit import free_port
from tests.generation.conftest import Workshop, make_workshop, row


@contextmanager
def ringing_at(url: str) -> Iterator[None]:
    """This process rings there."""
    broker.cache_clear()
    with override_settings(BROKER_URL=url):
        try:
            yield
        finally:
            broker().close()
    broker.cache_clear()


@pytest.fixture
def workshop() -> Workshop:
    return make_workshop("nowhere")


def test_a_broker_that_is_away_costs_a_bell_and_not_the_request(ada: Customer, workshop: Workshop) -> None:
    with ringing_at(f"amqp://guest:guest@127.0.0.1:{free_port()}/%2F"):
        begun = time.monotonic()
        generation = workshop.submit(ada)  # 202
        assert time.monotonic() - begun < 10
        clock.perform("ring_ready_pools")
    assert row(generation).status == "queued"


def test_readiness_asks_the_broker_that_is_set() -> None:
    with ringing_at(f"amqp://127.0.0.1:{free_port()}"), pytest.raises(ConnectionRefusedError):
        check_broker()
    assert urlsplit(os.environ["EASEL_BROKER_URL"]).scheme == "redis"
    check_broker()
