"""Sending a delivery again: at once, not without end, and to nobody else's harm."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from easel.database import platform_role
from easel.outbound import Answer
from tenants import delivery_turns, endpoints
from tenants.delivery import LOGGED_ATTEMPTS
from tenants.models import WebhookDelivery
from tests.cast import Customer
from tests.tenants.test_webhook_delivery import (  # noqa: F401  nothing_pending: for each test
    courier,
    deliver,
    emit,
    listening,
    nothing_pending,
)


@pytest.fixture
def made(ada: Customer) -> WebhookDelivery:
    """Of Ada's, pending."""
    listening(ada, "https://example.org/hook")
    emit(ada)
    return delivery_of(ada)


def delivery_of(customer: Customer) -> WebhookDelivery:
    with platform_role():
        found: WebhookDelivery = WebhookDelivery.objects.get(tenant=customer.tenant)
    return found


def become(row: WebhookDelivery, **fields: Any) -> None:
    with platform_role():
        WebhookDelivery.objects.filter(id=row.id).update(**fields)


def send_again(customer: Customer, row: WebhookDelivery) -> Any:
    return customer.client().post(f"/v1/webhooks/deliveries/{row.id}/redeliver", format="json")


def well(method: str, url: str, **_: Any) -> Answer:
    return Answer(204, {}, b"", False, url)


def test_after_so_many_attempts_it_is_not_sent_again(ada: Customer, made: WebhookDelivery) -> None:
    become(made, state="failed", attempts=endpoints.MOST_ATTEMPTS - 1)
    assert send_again(ada, made).status_code == 202
    become(made, state="failed", attempts=endpoints.MOST_ATTEMPTS)
    answer = send_again(ada, made)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_finished")
    assert "100 times" in answer.json()["detail"]
    assert delivery_of(ada).state == "failed"


def test_what_waits_for_its_next_attempt_is_sent_at_once(ada: Customer, made: WebhookDelivery) -> None:
    become(made, attempts=3, due_at=datetime.now(UTC) + timedelta(hours=6))
    assert send_again(ada, made).json()["state"] == "pending"
    with courier(send=well) as carrier:
        assert deliver(carrier, ada) == {"delivered": 1}


def test_what_is_just_being_sent_is_not_sent_twice(ada: Customer, made: WebhookDelivery) -> None:
    until = datetime.now(UTC) + timedelta(minutes=1)
    become(made, attempts=1, leased_until=until)
    assert send_again(ada, made).status_code == 202
    assert delivery_of(ada).leased_until == until
    with courier(send=well) as carrier, platform_role():
        assert carrier.round() == 0


def test_a_count_of_attempts_that_is_full_stops_nobodys_round(
    ada: Customer, bob: Customer, made: WebhookDelivery
) -> None:
    become(made, attempts=delivery_turns.MOST_COUNTED)
    listening(bob, "https://example.org/hook")
    emit(bob)
    with courier(send=well) as carrier:
        assert deliver(carrier, bob) == {"delivered": 1}
        assert deliver(carrier, ada) == {"delivered": 1}


@pytest.mark.parametrize("before", [0, LOGGED_ATTEMPTS - 1, LOGGED_ATTEMPTS, 200])
def test_the_log_keeps_the_last_attempts(ada: Customer, made: WebhookDelivery, before: int) -> None:
    become(made, log=[{"attempt": number, "error": "It answered 500."} for number in range(before)])
    with courier(send=well) as carrier:
        assert deliver(carrier, ada) == {"delivered": 1}
    *earlier, last = delivery_of(ada).log
    assert last["error"] is None
    assert [each["attempt"] for each in earlier] == list(range(before))[-(LOGGED_ATTEMPTS - 1) :]
