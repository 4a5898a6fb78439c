"""A delivery waits for a thread and not for the clock, and for its turn as long as its event is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from threading import Event, Timer
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings

from easel import clock
from easel.clock import duty
from easel.database import changed, platform_role
from tenants import delivery
from tenants.models import WebhookDelivery, WebhookEndpoint
from tests.cast import Customer
from tests.tenants.test_webhook_delivery import (  # noqa: F401  nothing_pending: for each test
    Mailbox,
    courier,
    emit,
    failing,
    listening,
    nothing_pending,
)
from tests.web.receiver import receiver

COUNT = 12


@contextmanager
def clock_that_comes_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Event, list[int]]]:
    """It does nothing but deliver webhooks. What stops it, and how many each round took."""
    stopping, rounds = Event(), list[int]()
    monkeypatch.setattr(clock, "_duties", {})
    monkeypatch.setattr(delivery, "_courier", None)

    @duty("deliver_webhooks", every=3600.0)
    def act() -> int:
        rounds.append(delivery.deliver_webhooks())
        return rounds[-1]

    given_up = Timer(20, stopping.set)
    given_up.start()
    try:
        yield stopping, rounds
    finally:
        given_up.cancel()
        if delivery._courier is not None:
            delivery._courier.close()


@override_settings(OUTBOUND_ALLOW=["127.0.0.1/32"])
def test_a_thread_that_is_free_gets_the_next_delivery_at_once(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Mailbox()
    with clock_that_comes_once_an_hour(monkeypatch) as (stopping, rounds):

        def accept(connection: socket, head: bytes) -> None:
            box.accept(connection, head)
            if len(box.told) == COUNT:
                stopping.set()

        with receiver(accept) as (port, _):
            _, box.secret = listening(ada, f"http://127.0.0.1:{port}/hook")
            emit(ada, COUNT)
            clock.run(stopping)
    assert len(box.told) == COUNT
    assert max(rounds) <= 2, "an address's share"
    assert COUNT / 2 <= len(rounds) <= COUNT + 1, "one for each that comes back, and none for nothing"


def test_what_has_had_no_turn_is_given_up_only_with_its_event(ada: Customer, bob: Customer) -> None:
    endpoint, _ = listening(ada, "https://example.org/hook")
    emit(ada, 4)
    waiting, tried, kept_back, ancient = ids(endpoint)
    off, _ = listening(bob, "https://example.org/off")
    emit(bob)
    with platform_role():
        old = "created_at = now() - interval '3 days', due_at = now() - interval '3 days'"
        changed(
            f"UPDATE tenants_webhookdelivery SET {old}, expires_at = now() - interval '2 days' "
            "WHERE tenant_id = ANY(%s)",
            [[ada.id, bob.id]],
        )
        changed("UPDATE tenants_webhookdelivery SET attempts = 1 WHERE id = %s", [tried])
        changed("UPDATE tenants_webhookdelivery SET due_at = now() WHERE id = %s", [kept_back])
        changed(
            "UPDATE tenants_webhookdelivery SET created_at = created_at - interval '28 days', "
            "due_at = due_at - interval '28 days' WHERE id = %s", [ancient],
        )  # fmt: skip
        changed("UPDATE tenants_webhookendpoint SET disabled_at = now() WHERE id = %s", [off.id])
        delivery.forget_webhooks()
        states = dict(WebhookDelivery.objects.filter(endpoint=endpoint).values_list("id", "state"))
        assert states == {waiting: "pending", tried: "failed", kept_back: "failed"}
        assert not WebhookDelivery.objects.filter(endpoint=off, state="pending").exists()
    with courier(send=failing(500), pause=lambda _: 3600.0) as made, platform_role():
        assert made.round() == 1
    with platform_role():
        found: Any = WebhookDelivery.objects.get(id=waiting)
    assert (found.state, found.attempts) == ("pending", 1), "it has its day of attempts"


def ids(endpoint: WebhookEndpoint) -> list[UUID]:
    with platform_role():
        return list(WebhookDelivery.objects.filter(endpoint=endpoint).order_by("id").values_list("id", flat=True))
