"""A tenant limits itself or one of its keys; what staff have set, it cannot lift, and a limited key frees nobody."""

from typing import Any

import pytest

from billing import staff
from billing.models import NOBODY, Allowance
from easel.database import platform_role
from tenants import keys
from tenants.audit import Actor
from tenants.models import AuditRecord
from tests.cast import Customer, make_customer
from tests.generation.conftest import make_workshop

STAFF = Actor(kind=AuditRecord.Actor.STAFF, name="s@example.org")


def test_a_cap_of_the_account_holds_at_once(ada: Customer) -> None:
    workshop, client = make_workshop("nowhere"), ada.client()
    capped = client.patch("/v1/allowances/account", {"spend_cap": 1}, format="json")
    assert (capped.status_code, capped.json()["spend_cap"], capped.json()["key"]) == (200, 1, None)
    assert client.post("/v1/generations", workshop.body(), format="json").status_code == 202
    refused = client.post("/v1/generations", workshop.body(), format="json")
    assert (refused.status_code, refused.json()["code"]) == (402, "spend_cap_reached")
    assert client.get("/v1/account").json()["spend"]["cap"] == 1
    client.patch("/v1/allowances/account", {"spend_cap": None}, format="json")
    assert client.post("/v1/generations", workshop.body(), format="json").status_code == 202


def test_a_keys_quota_binds_that_key_alone(ada: Customer) -> None:
    workshop, client = make_workshop("nowhere"), ada.client()
    client.patch(f"/v1/allowances/{ada.key.public_id}", {"generations_per_day": 1}, format="json")
    assert client.post("/v1/generations", workshop.body(), format="json").status_code == 202
    refused = client.post("/v1/generations", workshop.body(), format="json")
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert [each["key"] for each in client.get("/v1/allowances").json()["data"]] == [ada.key.public_id]


def test_a_cap_of_staff_leaves_the_tenants_own_and_the_lower_counts(ada: Customer) -> None:
    client = ada.client()

    def told(own: int | None) -> tuple[int | None, int | None, int | None]:
        allowance = client.patch("/v1/allowances/account", {"spend_cap": own}, format="json").json()
        return allowance["spend_cap"], allowance["staff_cap"], client.get("/v1/account").json()["spend"]["cap"]

    assert told(3) == (3, None, 3)
    with platform_role():
        staff.cap_spending(ada.id, 5, reason="risk", actor=STAFF)
    assert told(3) == (3, 5, 3)
    assert told(500) == (500, 5, 5), "one's own may always be changed"
    assert told(None) == (None, 5, 5)
    assert told(4) == (4, 5, 4)
    with platform_role():
        staff.cap_spending(ada.id, None, reason="settled", actor=STAFF)
    assert told(4) == (4, None, 4), "with the staff's lifted, one's own is still there"


def limited_by(customer: Customer, **limits: int) -> Any:
    """Its client, once its key has these limits."""
    with platform_role():
        Allowance.objects.create(tenant=customer.tenant, key_id=customer.key.id, **limits)
    return customer.client()


@pytest.mark.parametrize(
    "limits", [{"spend_cap": 10}, {"staff_cap": 10}, {"generations_per_day": 10}, {"requests_per_minute": 10}]
)
def test_a_limited_key_loosens_no_limit(ada: Customer, limits: dict[str, int]) -> None:
    account = {"spend_cap": 100, "generations_per_month": 100}
    assert ada.client().patch("/v1/allowances/account", account, format="json").status_code == 200
    client = limited_by(ada, **limits)
    own = f"/v1/allowances/{ada.key.public_id}"
    loosened = [(own, {name: value}) for name in limits if name != "staff_cap" for value in (None, 11)]
    loosened += [("/v1/allowances/account", {name: value}) for name in account for value in (None, 101)]
    for path, body in loosened:
        refused = client.patch(path, body, format="json")
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope"), (path, body)
        assert "only tightens limits" in refused.json()["detail"]
    with platform_role():
        assert dict(Allowance.objects.filter(tenant=ada.tenant).values_list("key_id", "spend_cap")) == {
            NOBODY: 100, ada.key.id: limits.get("spend_cap"),
        }  # fmt: skip


def test_a_limited_key_tightens_limits_its_own_too(ada: Customer) -> None:
    client = limited_by(ada, spend_cap=10)
    own = client.patch(f"/v1/allowances/{ada.key.public_id}", {"spend_cap": 9, "generations_per_day": 5}, format="json")
    assert (own.status_code, own.json()["spend_cap"], own.json()["generations_per_day"]) == (200, 9, 5)
    whole = client.patch("/v1/allowances/account", {"spend_cap": 100}, format="json")
    assert (whole.status_code, whole.json()["spend_cap"]) == (200, 100)


def test_a_test_key_changes_limits_of_test_keys_only(ada: Customer) -> None:
    with platform_role():
        key, secret = keys.mint(ada.tenant, name="test", scopes=sorted(keys.SCOPES), mode="test")
    client = Customer(ada.tenant, key, secret).client()
    for whose in ("account", ada.key.public_id):
        refused = client.patch(f"/v1/allowances/{whose}", {"spend_cap": 1}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope"), whose
    with platform_role():
        assert not Allowance.objects.filter(tenant=ada.tenant).exists()
    own = client.patch(f"/v1/allowances/{key.public_id}", {"requests_per_minute": 30}, format="json")
    assert (own.status_code, own.json()["requests_per_minute"]) == (200, 30)


def test_a_change_is_in_the_audit_log(ada: Customer) -> None:
    ada.client().patch("/v1/allowances/account", {"spend_cap": 9}, format="json")
    with platform_role():
        (record,) = AuditRecord.objects.filter(tenant=ada.tenant, action="allowance.set")
    assert (record.details, record.actor) == ({"spend_cap": 9}, ada.key.public_id)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""), ({"spend_cap": -1}, "spend_cap"), ({"spend_cap": "5"}, "spend_cap"),
        ({"spend_cap": 2**31}, "spend_cap"),
        ({"requests_per_minute": 0}, "requests_per_minute"), ({"colour": 1}, "colour"),
    ],
)  # fmt: skip
def test_a_bad_limit_is_named(ada: Customer, body: dict[str, object], field: str) -> None:
    answer = ada.client().patch("/v1/allowances/account", body, format="json")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_another_tenants_key_is_not_there(ada: Customer, bob: Customer) -> None:
    for whose in (ada.key.public_id, "ek_live_nobody", "a%00b"):
        answer = bob.client().patch(f"/v1/allowances/{whose}", {"spend_cap": 1}, format="json")
        assert answer.status_code == 404, whose


def test_reading_limits_does_not_let_one_set_them() -> None:
    reader = make_customer("Reader", scopes=["account:read"]).client()
    assert reader.get("/v1/allowances").json() == {"object": "list", "data": []}
    assert reader.patch("/v1/allowances/account", {"spend_cap": 1}, format="json").status_code == 403
