"""What was written down reaches its receiver at least once, signed, and nowhere that it must not go."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from socket import socket
from typing import Any

import pytest
from django.core import mail
from django.test import override_settings
from prometheus_client import REGISTRY
from standardwebhooks.webhooks import Webhook

from easel import clock
from easel.database import changed, platform_role, rows
from easel.outbound import Answer
from tenants import delivery, webhooks
from tenants.delivery import Courier
from tenants.models import Member, User, WebhookDelivery, WebhookEndpoint
from tenants.scope import tenant_scope
from tests.aside import aside
from tests.cast import Customer
from tests.generation.conftest import until
from tests.web.receiver import answering, receiver

LOCAL_MAIL = "django.core.mail.backends.locmem.EmailBackend"


@dataclass
class Mailbox:
    """A receiver that verifies with the secret it was told, and keeps what it accepted by its id."""

    secret: str = ""
    told: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, Any] = field(default_factory=dict)

    def accept(self, connection: socket, head: bytes) -> None:
        fields, _, body = head.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in fields.decode().split("\r\n")[1:])
        headers = {name.lower(): value for name, value in headers.items()}
        while len(body) < int(headers["content-length"]):
            body += connection.recv(65536)
        self.bodies[headers["webhook-id"]] = Webhook(self.secret).verify(body.decode(), headers)
        self.told[headers["webhook-id"]] += 1
        answering("204 No Content")(connection, head)


def listening(customer: Customer, url: str, *kinds: str) -> tuple[WebhookEndpoint, str]:
    with tenant_scope(customer.id):
        return webhooks.create(customer.tenant, url=url, kinds=kinds or ["balance.low"])


def emit(customer: Customer, count: int = 1) -> None:
    with tenant_scope(customer.id):
        for number in range(count):
            webhooks.emit(customer.id, "balance.low", {"percent": number}, subject=customer.id)


@contextmanager
def courier(**options: Any) -> Iterator[Courier]:
    made = Courier(**options)
    try:
        yield made
    finally:
        made.close()


def deliver(made: Courier, customer: Customer, *, seconds: float = 30) -> dict[str, int]:
    """Rounds, until nothing of the customer's is pending. Returns how many ended in which state."""
    deadline = time.monotonic() + seconds
    with platform_role():
        while True:
            made.round()
            states = Counter(WebhookDelivery.objects.filter(tenant=customer.tenant).values_list("state", flat=True))
            if not states["pending"]:
                return dict(states)
            assert time.monotonic() < deadline, states
            time.sleep(0.05)


@pytest.fixture(autouse=True)
def nothing_pending() -> None:
    """What other tests have written down is not sent from here."""
    with platform_role():
        WebhookDelivery.objects.filter(state="pending").delete()


@pytest.fixture
def loopback() -> Iterator[None]:
    with override_settings(OUTBOUND_ALLOW=["127.0.0.1/32"]):
        yield


@pytest.mark.usefixtures("loopback")
def test_an_event_arrives_signed_as_the_standard_says(ada: Customer) -> None:
    box = Mailbox()
    with receiver(box.accept) as (port, _), courier() as made:
        _, box.secret = listening(ada, f"http://127.0.0.1:{port}/hook")
        emit(ada)
        assert deliver(made, ada) == {"delivered": 1}
    ((message_id, body),) = box.bodies.items()
    assert message_id.startswith("evt_")
    assert (body["type"], body["data"]) == ("balance.low", {"percent": 0})
    assert body["timestamp"].endswith("Z")


@pytest.mark.usefixtures("loopback")
def test_a_receiver_that_fails_half_the_time_and_stalls_gets_every_event(
    ada: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT_SECONDS", 0.3)
    box, dice, stop = Mailbox(), random.Random(7), threading.Event()

    def moody(connection: socket, head: bytes) -> None:
        throw = dice.random()
        if throw < 0.4:
            answering("500 Internal Server Error", b"not now")(connection, head)
        elif throw < 0.5:
            stop.wait(2)
        else:
            box.accept(connection, head)

    with receiver(moody) as (port, _), courier(pause=lambda _: 0.0) as made:
        _, box.secret = listening(ada, f"http://127.0.0.1:{port}/hook")
        emit(ada, 25)
        with monkeypatch.context() as patient:
            patient.setattr(delivery, "_is_ill", lambda _: False)  # the breaker would only stretch it
            assert deliver(made, ada, seconds=50) == {"delivered": 25}
        stop.set()
    assert len(box.told) == 25
    assert {body["data"]["percent"] for body in box.bodies.values()} == set(range(25))
    with platform_role():
        logs = list(WebhookDelivery.objects.filter(tenant=ada.tenant).values_list("attempts", "log"))
    assert all(attempts == len(log) and log[-1]["error"] is None for attempts, log in logs)
    assert max(attempts for attempts, _ in logs) > 1


def test_nothing_goes_to_a_private_address_not_even_by_a_redirect(ada: Customer) -> None:
    with receiver(answering()) as (private, seen):
        listening(ada, f"http://127.0.0.1:{private}/inside")
        with courier(pause=lambda _: 10**6) as made:
            emit(ada)
            assert deliver(made, ada) == {"failed": 1}
        with platform_role():
            (log,) = WebhookDelivery.objects.filter(tenant=ada.tenant).values_list("log", flat=True)
        assert "loopback address" in log[0]["error"]
        assert seen == []


def test_a_redirect_is_a_failure_and_is_not_followed(ada: Customer) -> None:
    with receiver(answering()) as (private, inside):
        redirect = answering("302 Found", Location=f"http://localhost:{private}/inside")
        with receiver(redirect) as (port, outside), override_settings(OUTBOUND_ALLOW=["127.0.0.1/32"]):
            listening(ada, f"http://127.0.0.1:{port}/hook")
            with courier(pause=lambda _: 10**6) as made:
                emit(ada)
                assert deliver(made, ada) == {"failed": 1}
        assert (len(outside), inside) == (1, [])


def test_what_fails_comes_back_ever_later_and_spread_for_a_day() -> None:
    usual = [sum(delivery.pause_after(attempt) for _ in range(200)) / 200 for attempt in range(1, 12)]
    assert all(later > earlier * 1.5 for earlier, later in pairwise(usual[:8]))
    assert len({round(delivery.pause_after(5), 3) for _ in range(50)}) > 40
    passed, attempts = 0.0, 1
    while passed < webhooks.KEEP_TRYING.total_seconds():
        passed += delivery.pause_after(attempts)
        attempts += 1
    assert 10 <= attempts <= 16


def failing(status: int) -> Any:
    return lambda *_, **__: Answer(status, {}, b"no", False, "")


def test_an_endpoint_that_is_dead_for_a_day_is_disabled_and_its_people_are_told(ada: Customer) -> None:
    endpoint, _ = listening(ada, "https://example.org/hook")
    with platform_role():
        owner = User.objects.create_user(f"{ada.id.hex}@example.org")
        Member.objects.create(tenant=ada.tenant, user=owner, role=Member.Role.OWNER)
        changed(
            "UPDATE tenants_webhookendpoint SET failing_since = now() - interval '1 day' WHERE id = %s", [endpoint.id]
        )
    emit(ada, 2)
    with platform_role():
        changed(
            "UPDATE tenants_webhookdelivery SET expires_at = now() + interval '1 second' WHERE id = "
            "(SELECT id FROM tenants_webhookdelivery WHERE tenant_id = %s ORDER BY id LIMIT 1)", [ada.id],
        )  # fmt: skip
    with courier(send=failing(404)) as made, override_settings(EMAIL_BACKEND=LOCAL_MAIL):
        assert deliver(made, ada) == {"failed": 2}
    with platform_role():
        assert WebhookEndpoint.objects.get(id=endpoint.id).disabled_at is not None
    (letter,) = [letter for letter in mail.outbox if letter.to == [owner.email]]
    assert "example.org/hook" in letter.body


def test_an_endpoint_that_says_gone_is_disabled_at_once(ada: Customer) -> None:
    endpoint, _ = listening(ada, "https://example.org/hook")
    emit(ada)
    with courier(send=failing(410)) as made:
        assert deliver(made, ada) == {"failed": 1}
    with platform_role():
        assert WebhookEndpoint.objects.get(id=endpoint.id).disabled_reason == "It answered 410 Gone."


def test_an_endpoint_is_disabled_while_another_of_its_deliveries_is_written_down(ada: Customer) -> None:
    endpoint, _ = listening(ada, "https://example.org/hook")
    emit(ada, 2)
    with platform_role():
        _, other = WebhookDelivery.objects.filter(endpoint=endpoint).order_by("id").values_list("id", flat=True)
        changed("UPDATE tenants_webhookdelivery SET due_at = 'infinity' WHERE id = %s", [other])

    def disabled() -> bool:
        with platform_role():
            return WebhookEndpoint.objects.get(id=endpoint.id).disabled_at is not None

    with courier(send=failing(410)) as made, aside() as writing, platform_role():
        writing.do(lambda: changed("UPDATE tenants_webhookdelivery SET leased_until = now() WHERE id = %s", [other]))
        assert made.round() == 1
        until(disabled, seconds=10)
        writing.do(lambda: rows(delivery._FAILED, [endpoint.id]))
    with platform_role():
        states = WebhookDelivery.objects.filter(endpoint=endpoint).values_list("state", flat=True)
        assert list(states) == ["failed", "failed"]


def test_an_ill_host_is_left_alone_for_a_while_and_its_attempts_are_not_spent(ada: Customer) -> None:
    listening(ada, f"https://{ada.id.hex}.example.org/hook")
    emit(ada, 12)
    calls: list[str] = []

    def send(method: str, url: str, **_: Any) -> Answer:
        calls.append(url)
        return Answer(503, {}, b"", False, url)

    with courier(send=send, pause=lambda _: 0.0) as made, platform_role():
        for _ in range(40):
            made.round()
            time.sleep(0.05)
        attempts = sum(WebhookDelivery.objects.filter(tenant=ada.tenant).values_list("attempts", flat=True))
    assert 0 < len(calls) < 12
    assert attempts == len(calls)


def test_a_delivery_whose_process_died_is_sent_again_under_the_same_id(ada: Customer) -> None:
    listening(ada, "https://example.org/hook")
    emit(ada)
    ids: list[str] = []

    def send(method: str, url: str, *, headers: dict[str, str], **_: Any) -> Answer:
        ids.append(headers["webhook-id"])
        if len(ids) == 1:
            raise SystemExit  # as far as our books go, it never happened
        return Answer(200, {}, b"", False, url)

    with courier(send=send) as made, platform_role():
        made.round()
        time.sleep(0.5)
        assert made.round() == 0  # still leased
        changed("UPDATE tenants_webhookdelivery SET leased_until = now() WHERE tenant_id = %s", [ada.id])
        assert deliver(made, ada) == {"delivered": 1}
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_two_couriers_share_the_work(ada: Customer) -> None:
    listening(ada, "https://example.org/hook")
    emit(ada, 20)
    told: Counter[str] = Counter()

    def send(method: str, url: str, *, headers: dict[str, str], **_: Any) -> Answer:
        told[headers["webhook-id"]] += 1
        return Answer(200, {}, b"", False, url)

    with courier(send=send) as one, courier(send=send) as other, platform_role():
        for _ in range(200):
            one.round()
            other.round()
            if not rows("SELECT 1 FROM tenants_webhookdelivery WHERE tenant_id = %s AND state = 'pending'", [ada.id]):
                break
            time.sleep(0.02)
    assert (len(told), set(told.values())) == (20, {1})


def measured() -> float:
    clock.perform("measure_webhooks")
    return REGISTRY.get_sample_value("easel_webhook_oldest_seconds") or 0.0


def test_how_long_something_has_been_due_is_told(ada: Customer) -> None:
    listening(ada, "https://example.org/hook")
    emit(ada, 2)
    with platform_role():
        first = WebhookDelivery.objects.filter(tenant=ada.tenant).order_by("id")[0]
        changed("UPDATE tenants_webhookdelivery SET due_at = now() - interval '90 s' WHERE id = %s", [first.id])
        assert 90 <= measured() < 150
        changed("UPDATE tenants_webhookdelivery SET leased_until = now() + interval '60 s' WHERE id = %s", [first.id])
        assert measured() < 60
        changed("UPDATE tenants_webhookdelivery SET leased_until = now() WHERE id = %s", [first.id])
        assert measured() >= 90


def test_what_waits_for_its_receiver_or_for_its_owner_is_not_late(ada: Customer, bob: Customer) -> None:
    listening(ada, f"https://{ada.id.hex}.example.org/hook")
    off, _ = listening(bob, "https://example.org/hook")
    for customer in (ada, bob):
        emit(customer)
    with platform_role():
        changed(
            "UPDATE tenants_webhookdelivery SET created_at = now() - interval '1 h', due_at = now() - interval '1 h'"
        )
        changed("UPDATE tenants_webhookendpoint SET disabled_at = now() WHERE id = %s", [off.id])
    with courier(send=failing(500), pause=lambda _: 600.0) as made, platform_role():
        assert made.round() == 1
    with platform_role():
        assert WebhookDelivery.objects.get(tenant=ada.tenant).attempts == 1
    assert measured() == 0


def test_old_deliveries_and_events_are_forgotten(ada: Customer) -> None:
    listening(ada, "https://example.org/hook")
    emit(ada, 2)
    with platform_role():
        changed(
            "UPDATE tenants_webhookevent SET created_at = now() - interval '31 days' WHERE tenant_id = %s", [ada.id]
        )
        changed("UPDATE tenants_webhookdelivery SET created_at = now() - interval '31 days', state = 'delivered' "
                "WHERE tenant_id = %s", [ada.id])  # fmt: skip
        assert delivery.forget_webhooks() >= 2
        assert not WebhookDelivery.objects.filter(tenant=ada.tenant).exists()


def test_a_body_is_json_in_the_standards_form(ada: Customer) -> None:
    listening(ada, "https://example.org/hook")
    emit(ada)
    with courier(
        send=lambda *_, body, **__: bodies.append(json.loads(body)) or Answer(200, {}, b"", False, "")
    ) as made:
        bodies: list[dict[str, Any]] = []
        deliver(made, ada)
    assert bodies[0].keys() == {"type", "timestamp", "data"}
