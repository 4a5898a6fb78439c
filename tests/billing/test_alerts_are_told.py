"""An alert reaches the account by webhook and its owners by mail, once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core import mail
from django.test import override_settings

from billing import alerts, ledger, plans, quotas
from billing.models import Allowance
from easel.database import platform_role
from easel.identifiers import new_id
from tenants import webhooks
from tenants.models import Member, User, WebhookEvent
from tenants.scope import tenant_scope
from tests.cast import Customer


@pytest.fixture
def post_box() -> Iterator[list[Any]]:
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        mail.outbox = []
        yield mail.outbox


def told(customer: Customer) -> list[tuple[str, dict[str, Any]]]:
    events = WebhookEvent.objects.filter(tenant=customer.tenant).order_by("id")
    return [(event.kind, event.payload) for event in events]


def test_a_spend_cap_that_is_nearly_reached_is_told_by_webhook_and_mail(ada: Customer, post_box: list[Any]) -> None:
    with tenant_scope(ada.id):
        webhooks.create(ada.tenant, url="https://example.org/hook", kinds=["balance.low", "quota.low"])
    with platform_role():
        owner = User.objects.create_user(f"{ada.id.hex}@example.org")
        Member.objects.create(tenant=ada.tenant, user=owner, role=Member.Role.OWNER)
        viewer = User.objects.create_user(f"viewer-{ada.id.hex}@example.org")
        Member.objects.create(tenant=ada.tenant, user=viewer, role=Member.Role.VIEWER)
        Allowance.objects.create(tenant=ada.tenant, key_id=ada.key.id, spend_cap=100)
        ledger.hold(ada.id, new_id(), 85, key_id=ada.key.id, model="m")
        for _ in range(2):
            alerts.raise_for(ada.id, now=datetime.now(UTC))
        events = told(ada)
    assert [(kind, payload["percent"]) for kind, payload in events] == [("balance.low", 50), ("balance.low", 80)]
    assert {payload["key"] for _, payload in events} == {ada.key.public_id}
    assert {(payload["used"], payload["allowed"]) for _, payload in events} == {(85, 100)}
    sent = [letter for letter in post_box if letter.to == [owner.email]]
    assert len(sent) == len(post_box) == 2
    assert "80 %" in sent[1].subject
    assert ada.key.public_id in sent[1].body


def test_a_quota_that_is_used_up_is_an_event_of_its_own(ada: Customer) -> None:
    with tenant_scope(ada.id):
        webhooks.create(ada.tenant, url="https://example.org/hook", kinds=["quota.low"])
    with platform_role():
        Allowance.objects.create(tenant=ada.tenant, generations_per_day=1)
        quotas.counting(ada.id, ada.key.id, price=1, limits=plans.limits_of(ada.id)).ask()
        alerts.raise_for(ada.id, now=datetime.now(UTC))
        assert [(kind, payload["subject"], payload["percent"]) for kind, payload in told(ada)] == [
            ("quota.low", "day", percent) for percent in (50, 80, 100)
        ]
