"""A key may be bound to networks, and tells when it was last used."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client, override_settings

from easel.database import platform_role
from tenants import keys, last_use
from tenants.models import APIKey
from tests.cast import Customer
from tests.tenants.door import sign, soon


def bind(customer: Customer, *networks: str) -> None:
    with platform_role():
        APIKey.objects.filter(id=customer.key.id).update(allowed_networks=list(networks))
    keys.forget_all()


def ask(customer: Customer, address: str, **headers: str) -> int:
    token = sign({"exp": soon()}, customer.secret, kid=customer.key.public_id)
    client = Client(REMOTE_ADDR=address)
    return client.get("/v1/account", headers={"Authorization": f"Bearer {token}", **headers}).status_code


def token_from(customer: Customer, address: str) -> dict[str, Any]:
    form = {
        "grant_type": "client_credentials",
        "client_id": customer.key.public_id,
        "client_secret": customer.secret,
    }
    answered: dict[str, Any] = Client(REMOTE_ADDR=address).post(
        "/oauth/token", "&".join(f"{name}={value}" for name, value in form.items()),
        content_type="application/x-www-form-urlencoded",
    ).json()  # fmt: skip
    return answered


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("192.0.2.0/24", "192.0.2.77", "192.0.3.1"),
        ("192.0.2.7/32", "192.0.2.7", "192.0.2.8"),
        ("192.0.2.7/32", "::ffff:192.0.2.7", "::ffff:192.0.2.8"),
        ("2001:db8::/32", "2001:db8::1", "2001:db9::1"),
    ],
)
def test_a_bound_key_works_from_its_networks_only(network: str, inside: str, outside: str, ada: Customer) -> None:
    bind(ada, "198.51.100.0/24", network)
    assert (ask(ada, inside), ask(ada, outside)) == (200, 403)
    assert "access_token" in token_from(ada, inside)
    assert token_from(ada, outside)["error"] == "unauthorized_client"


def test_an_address_that_nobody_can_read_is_outside(ada: Customer) -> None:
    bind(ada, "0.0.0.0/0", "::/0")
    assert ask(ada, "not an address") == 403
    assert ask(ada, "192.0.2.1") == 200


def test_a_caller_cannot_forward_itself_in(ada: Customer) -> None:
    bind(ada, "192.0.2.0/24")
    forged = {"X-Forwarded-For": "192.0.2.7"}
    assert ask(ada, "203.0.113.5", **forged) == 403
    with override_settings(NUM_PROXIES=1):
        assert ask(ada, "10.0.0.1", **forged) == 200
        assert ask(ada, "10.0.0.1", **{"X-Forwarded-For": "192.0.2.7, 203.0.113.5"}) == 403


def last_used(customer: Customer) -> datetime | None:
    with platform_role():
        moment: datetime | None = APIKey.objects.get(id=customer.key.id).last_used_at
    return moment


def test_the_last_use_is_noted_once_a_minute(ada: Customer) -> None:
    assert last_used(ada) is None
    ask(ada, "192.0.2.1")
    first = last_used(ada)
    assert first is not None
    assert datetime.now(UTC) - first < timedelta(seconds=30)
    last_use.forget_all()  # as another process would
    ask(ada, "192.0.2.1")
    assert last_used(ada) == first
    with platform_role():
        APIKey.objects.filter(id=ada.key.id).update(last_used_at=first - timedelta(minutes=2))
    ask(ada, "192.0.2.1")
    assert last_used(ada) == first - timedelta(minutes=2), "this process noted it less than a minute ago"
    last_use.forget_all()
    ask(ada, "192.0.2.1")
    assert last_used(ada) > first - timedelta(seconds=1)


def test_a_refused_token_is_no_use(ada: Customer) -> None:
    bind(ada, "192.0.2.0/24")
    ask(ada, "203.0.113.5")
    assert last_used(ada) is None
