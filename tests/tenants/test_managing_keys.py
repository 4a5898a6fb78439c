"""`/v1/keys`: programs list, make, change, rotate and revoke keys of their tenant, and none beyond themselves."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import HttpResponse
from rest_framework.test import APIClient

from easel.database import platform_role
from tenants import audit, keys
from tenants.models import APIKey
from tests.cast import Customer, make_customer
from tests.tenants.door import bearer, body, sign, soon
from tests.tenants.people import let_in, person


def calling(customer: Customer) -> APIClient:
    client = customer.client()
    client.default_format = "json"  # type: ignore[attr-defined]
    return client


def make(customer: Customer, **fields: Any) -> dict[str, Any]:
    asked = {"name": "deploy", "scopes": ["generations:read"], **fields}
    answer = calling(customer).post("/v1/keys", asked, format="json")
    assert answer.status_code == 201, answer.content
    assert answer["Cache-Control"] == "no-store"
    made: dict[str, Any] = answer.json()
    return made


def opens(key: str, secret: str) -> HttpResponse:
    keys.forget_all()
    return bearer(sign({"exp": soon()}, secret, kid=key))


def actions(customer: Customer) -> list[str]:
    with platform_role():
        assert audit.first_break(customer.id) is None
        found = audit.AuditRecord.objects.filter(tenant_id=customer.id).order_by("sequence")
        return [record.action for record in found if record.action.startswith("key.")]


def test_a_new_key_opens_the_door_and_its_secret_is_shown_once(ada: Customer) -> None:
    made = make(ada)
    assert opens(made["id"], made["secret"]).status_code == 200
    listed = calling(ada).get("/v1/keys").json()["data"]
    assert [key["id"] for key in listed] == [made["id"], ada.key.public_id]
    assert made["secret"] not in json.dumps([listed, calling(ada).get(f"/v1/keys/{made['id']}").json()])
    assert actions(ada) == ["key.created"]


def test_a_test_key_says_so_in_its_id_and_reaches_test_keys_only(ada: Customer) -> None:
    made = make(ada, mode="test", scopes=["keys:read", "keys:write", "generations:read"])
    assert made["id"].startswith("ek_test_")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign({'exp': soon()}, made['secret'], kid=made['id'])}")
    assert [key["id"] for key in client.get("/v1/keys").json()["data"]] == [made["id"]]
    assert client.get(f"/v1/keys/{ada.key.public_id}").status_code == 404
    refused = client.post("/v1/keys", {"name": "x", "scopes": ["keys:read"]}, format="json")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "test_only")
    second = client.post("/v1/keys", {"name": "x", "scopes": ["keys:read"], "mode": "test"}, format="json")
    assert second.status_code == 201


def test_a_key_gives_nothing_that_it_does_not_have() -> None:
    narrow = make_customer("Narrow", ["keys:read", "keys:write"])
    answer = calling(narrow).post("/v1/keys", {"name": "x", "scopes": ["generations:write"]}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "scopes")
    with platform_role():
        wide, _ = keys.mint(narrow.tenant, name="wide", scopes=["generations:write"])
    for method, path in (
        ("post", f"/v1/keys/{wide.public_id}/rotate"),
        ("patch", f"/v1/keys/{wide.public_id}"),
        ("delete", f"/v1/keys/{wide.public_id}"),
    ):
        answer = getattr(calling(narrow), method)(path, {}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


def test_after_a_rotation_both_secrets_are_good_while_they_overlap(ada: Customer) -> None:
    made = make(ada)
    path = f"/v1/keys/{made['id']}/rotate"
    second = calling(ada).post(path, {"overlap_seconds": 3600}, format="json").json()
    assert second["id"] == made["id"]
    assert second["previous_secret_until"] is not None
    assert opens(made["id"], made["secret"]).status_code == 200
    assert opens(made["id"], second["secret"]).status_code == 200
    third = calling(ada).post(path, {"overlap_seconds": 3600}, format="json").json()
    assert [opens(made["id"], each["secret"]).status_code for each in (made, second, third)] == [401, 200, 200]
    with platform_role():
        APIKey.objects.filter(public_id=made["id"]).update(previous_until="2020-01-01T00:00:00Z")
    assert [opens(made["id"], each["secret"]).status_code for each in (second, third)] == [401, 200]


def test_a_rotation_without_overlap_ends_the_old_secret_and_its_tokens(ada: Customer) -> None:
    token = ada.token()
    answer = calling(ada).post(f"/v1/keys/{ada.key.public_id}/rotate", {}, format="json")
    assert answer.status_code == 200
    assert opens(ada.key.public_id, ada.secret).status_code == 401
    assert bearer(token).status_code == 401
    assert opens(ada.key.public_id, answer.json()["secret"]).status_code == 200
    assert actions(ada) == ["key.rotated"]


def test_a_revoked_key_opens_nothing_and_stays_in_the_list(ada: Customer) -> None:
    made = make(ada)
    path = f"/v1/keys/{made['id']}"
    assert [calling(ada).delete(path).status_code for _ in range(2)] == [204, 204]
    assert body(opens(made["id"], made["secret"]))["code"] == "key_revoked"
    assert calling(ada).get(path).json()["revoked_at"] is not None
    assert calling(ada).post(f"{path}/rotate", {}, format="json").status_code == 409
    assert actions(ada) == ["key.created", "key.revoked"]


def test_a_key_can_be_renamed_and_bound_to_networks(ada: Customer) -> None:
    made = make(ada)
    path = f"/v1/keys/{made['id']}"
    changed = calling(ada).patch(path, {"name": "new", "allowed_networks": ["192.0.2.0/24"]}, format="json").json()
    assert (changed["name"], changed["allowed_networks"]) == ("new", ["192.0.2.0/24"])
    answer = opens(made["id"], made["secret"])
    assert (answer.status_code, body(answer)["code"]) == (403, "address_not_allowed")
    assert calling(ada).patch(path, {}, format="json").status_code == 400
    assert actions(ada) == ["key.created", "key.changed"]


@pytest.mark.parametrize("method", ["get", "patch", "delete", "rotate"])
def test_another_tenants_key_is_not_there(method: str, ada: Customer, bob: Customer) -> None:
    path = f"/v1/keys/{bob.key.public_id}"
    if method == "rotate":
        answer = calling(ada).post(f"{path}/rotate", {}, format="json")
    else:
        answer = getattr(calling(ada), method)(path, {} if method != "get" else None, format="json")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": None}, "name"),
    "name too long": ({"name": "x" * 101}, "name"),
    "name a number": ({"name": 1}, "name"),
    "no scope": ({"scopes": []}, "scopes"),
    "unknown scope": ({"scopes": ["everything"]}, "scopes.0"),
    "scopes a text": ({"scopes": "generations:read"}, "scopes"),
    "another mode": ({"mode": "demo"}, "mode"),
    "expiry in the past": ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    "expiry no date": ({"expires_at": "tomorrow"}, "expires_at"),
    "network no network": ({"allowed_networks": ["here"]}, "allowed_networks.0"),
    "network with host bits": ({"allowed_networks": ["192.0.2.1/24"]}, "allowed_networks.0"),
    "too many networks": ({"allowed_networks": ["192.0.2.1"] * 51}, "allowed_networks"),
    "unknown field": ({"secret": "es_mine"}, "secret"),
}


@pytest.mark.parametrize(("fields", "field"), BAD.values(), ids=BAD.keys())
def test_a_bad_field_is_named_and_nothing_is_made(fields: dict[str, Any], field: str, ada: Customer) -> None:
    asked = {"name": "deploy", "scopes": ["generations:read"], **fields}
    answer = calling(ada).post("/v1/keys", asked, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    assert len(calling(ada).get("/v1/keys").json()["data"]) == 1


def test_there_is_a_limit_to_the_number_of_keys(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.key_changes.MOST_KEYS", 1)
    chinese = {"accept-language": "zh-CN"}
    asked = {"name": "x", "scopes": ["keys:read"]}
    answer = calling(ada).post("/v1/keys", asked, format="json", headers=chinese)
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert answer.json()["detail"] == "An account has at most 1 API keys that are not revoked."
    browser = let_in(person(ada.tenant))
    for path, form in (("/console/keys", {**asked, "mode": "live"}), ("/console/first-steps", {})):
        assert "每个账户最多有 1 个" in browser.post(path, form, headers=chinese).content.decode()


def test_the_page_says_whose_time_a_keys_last_use_is_in(ada: Customer) -> None:
    with platform_role():
        APIKey.objects.filter(tenant=ada.tenant).update(last_used_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    assert "2026-01-02 03:04 UTC" in let_in(person(ada.tenant)).get("/console/keys").content.decode()


def test_the_consoles_form_takes_as_many_networks_as_the_api(ada: Customer) -> None:
    browser = let_in(person(ada.tenant))
    form = {"name": "fenced", "mode": "live", "scopes": ["keys:read"]}
    networks = [f"192.0.2.{number}" for number in range(51)]
    page = browser.post("/console/keys", {**form, "networks": "\n".join(networks)}).content.decode()
    assert "At most 50 networks." in page
    browser.post("/console/keys", {**form, "networks": "\n \n".join(networks[:50])})
    made = next(key for key in calling(ada).get("/v1/keys").json()["data"] if key["name"] == "fenced")
    assert len(made["allowed_networks"]) == 50
