"""What happened is written down for whoever listens, in the transaction that makes it true."""

import base64
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from standardwebhooks.webhooks import Webhook

from easel.database import atomic, connection, platform_role
from tenants import webhooks
from tenants.keys import tenant_data_key
from tenants.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from tenants.scope import tenant_scope
from tests.cast import Customer


def endpoint(customer: Customer, *kinds: str) -> WebhookEndpoint:
    with tenant_scope(customer.id):
        return webhooks.create(customer.tenant, url="https://example.org/hook", kinds=kinds)[0]


def test_an_event_is_written_for_every_endpoint_that_listens_to_its_kind(ada: Customer, bob: Customer) -> None:
    first, second = endpoint(ada, "balance.low"), endpoint(ada, "balance.low", "generation.failed")
    endpoint(ada, "generation.failed")
    endpoint(bob, "balance.low")
    with tenant_scope(ada.id):
        assert webhooks.emit(ada.id, "balance.low", {"percent": 80}, subject=ada.id) == 2
    with platform_role():
        (event,) = WebhookEvent.objects.filter(tenant=ada.tenant)
        told = set(WebhookDelivery.objects.filter(event=event).values_list("endpoint_id", flat=True))
        assert not WebhookEvent.objects.filter(tenant=bob.tenant).exists()
    assert (event.kind, event.payload, told) == ("balance.low", {"percent": 80}, {first.id, second.id})


def test_nothing_is_written_where_nobody_listens(ada: Customer) -> None:
    def payload() -> dict[str, object]:
        raise AssertionError("nobody asked")

    with platform_role():
        assert webhooks.emit(ada.id, "generation.failed", payload, subject=ada.id) == 0
        assert not WebhookEvent.objects.filter(tenant=ada.tenant).exists()


def test_a_disabled_endpoint_hears_nothing(ada: Customer) -> None:
    silent = endpoint(ada, "balance.low")
    with tenant_scope(ada.id):
        WebhookEndpoint.objects.filter(id=silent.id).update(disabled_at=datetime.now(UTC))
        assert webhooks.emit(ada.id, "balance.low", {}, subject=ada.id) == 0


def test_an_event_is_gone_with_the_transaction_that_it_was_part_of(ada: Customer) -> None:
    endpoint(ada, "balance.low")
    with platform_role():
        with suppress(ZeroDivisionError), atomic():
            webhooks.emit(ada.id, "balance.low", {}, subject=ada.id)
            raise ZeroDivisionError
        assert not WebhookEvent.objects.filter(tenant=ada.tenant).exists()


def test_a_requests_own_address_is_told_under_the_default_secret(ada: Customer) -> None:
    with platform_role():
        for _ in range(2):
            webhooks.emit(ada.id, "generation.completed", {}, subject=ada.id, url="https://example.org/once")
        (default,) = WebhookEndpoint.objects.filter(tenant=ada.tenant, is_default=True)
        assert [each.url for each in WebhookDelivery.objects.filter(endpoint=default)] == [
            "https://example.org/once"
        ] * 2


def test_an_unknown_kind_is_a_programmers_error(ada: Customer) -> None:
    with platform_role(), pytest.raises(ValueError, match=r"no\.such"):
        webhooks.emit(ada.id, "no.such", {}, subject=ada.id)


def test_secrets_have_the_form_of_the_standard_and_are_stored_sealed(ada: Customer) -> None:
    with tenant_scope(ada.id):
        made, secret = webhooks.create(ada.tenant, url="https://example.org/hook", kinds=["balance.low"])
        stored = WebhookEndpoint.objects.get(id=made.id)
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    assert secret.encode() not in bytes(stored.secret_sealed)


def test_after_a_rotation_both_secrets_sign_for_a_day(ada: Customer) -> None:
    key, now, body = tenant_data_key(ada.tenant), datetime.now(UTC), b'{"type":"balance.low"}'
    with tenant_scope(ada.id):
        made, old = webhooks.create(ada.tenant, url="https://example.org/hook", kinds=["balance.low"])
        new = webhooks.rotate(made, key=key)
        made.refresh_from_db()
    stamp = int(now.timestamp())
    for moment, valid in ((now, [new, old]), (now + webhooks.ROTATION_OVERLAP + timedelta(minutes=1), [new])):
        secrets = webhooks.signing_secrets(made, key=key, now=moment)
        assert secrets == valid
        signature = webhooks.sign(secrets, message_id="evt_1", timestamp=stamp, body=body)
        headers = {"webhook-id": "evt_1", "webhook-timestamp": str(stamp), "webhook-signature": signature}
        for secret in valid:
            Webhook(secret).verify(body.decode(), headers)


def test_rows_from_before_lose_what_customers_attached(ada: Customer) -> None:
    endpoint(ada, "generation.failed", "balance.low")
    with platform_role():
        webhooks.emit(ada.id, "generation.failed", {"id": "x", "metadata": {"name": "Marlene"}}, subject="x")
        webhooks.emit(ada.id, "balance.low", {"percent": 80}, subject="y")
        (operation,) = import_module("tenants.migrations.0020_events_without_metadata").Migration.operations
        with connection().cursor() as cursor:
            cursor.execute(operation.sql[1])  # between taking the platform's role and giving it back
        found = dict(WebhookEvent.objects.filter(tenant=ada.tenant).values_list("subject", "payload"))
    assert found == {"x": {"id": "x"}, "y": {"percent": 80}}
