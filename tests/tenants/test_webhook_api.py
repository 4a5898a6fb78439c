"""`/v1/webhooks`: a tenant's own endpoints, their secrets, and the log of what was sent."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings

from easel.database import platform_role
from easel.outbound import Answer
from tenants import webhooks
from tenants.models import WebhookDelivery
from tests.cast import Customer, make_customer
from tests.tenants.test_webhook_delivery import courier, deliver, nothing_pending  # noqa: F401  for each test

HOOK = {"url": "https://93.184.215.14/hook", "events": ["generation.completed", "balance.low"]}


def make(customer: Customer, **fields: Any) -> dict[str, Any]:
    answer = customer.client().post("/v1/webhooks", HOOK | fields, format="json")
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def test_an_endpoint_is_made_read_changed_and_deleted(ada: Customer) -> None:
    client, made = ada.client(), make(ada, description="orders")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    path = f"/v1/webhooks/{made['id']}"
    assert client.get(path).json() == made
    assert client.get("/v1/webhooks").json()["data"] == [made]
    changed = client.patch(path, {"events": ["balance.low"], "enabled": False}, format="json").json()
    assert (changed["events"], changed["enabled"], changed["description"]) == (["balance.low"], False, "orders")
    assert client.patch(path, {"enabled": True}, format="json").json()["enabled"] is True
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"url": "ftp://example.org"}, "url", "refused_address"),
        ({"url": "http://127.0.0.1/"}, "url", "refused_address"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url", "refused_address"),
        ({"url": "https://user:pass@example.org/"}, "url", "refused_address"),
        ({"url": 7}, "url", "invalid"),
        ({"events": []}, "events", "min_length"),
        ({"events": ["generation.exploded"]}, "events.0", "invalid_choice"),
        ({"events": ["webhook.test"]}, "events.0", "invalid_choice"),
        ({"color": "red"}, "color", "unknown_field"),
    ],
)
def test_a_bad_field_is_named(ada: Customer, fields: dict[str, Any], field: str, code: str) -> None:
    answer = ada.client().post("/v1/webhooks", HOOK | fields, format="json")
    assert answer.status_code == 400, answer.content
    assert (field, code) in [(error["field"], error["code"]) for error in answer.json()["errors"]]


def test_another_tenants_endpoint_is_not_there(ada: Customer, bob: Customer) -> None:
    made, client = make(ada), bob.client()
    for method, path in (
        ("get", ""), ("patch", ""), ("delete", ""), ("post", "/rotate-secret"), ("post", "/test"),
        ("get", "/deliveries"),
    ):  # fmt: skip
        answer = getattr(client, method)(
            f"/v1/webhooks/{made['id']}{path}", **({} if method == "get" else {"format": "json"})
        )
        assert answer.status_code == 404, (method, path)
    assert client.get("/v1/webhooks").json()["data"] == []
    test = ada.client().post(f"/v1/webhooks/{made['id']}/test", format="json").json()
    assert client.post(f"/v1/webhooks/deliveries/{test['id']}/redeliver", format="json").status_code == 404


def test_a_test_message_is_sent_logged_and_sent_again(ada: Customer) -> None:
    client, made = ada.client(), make(ada)
    sent = client.post(f"/v1/webhooks/{made['id']}/test", format="json")
    assert (sent.status_code, sent.json()["event"]["type"]) == (202, "webhook.test")
    answers = iter([Answer(500, {}, b"oh", False, ""), Answer(200, {}, b"thanks", False, "")])
    with courier(send=lambda *_, **__: next(answers), pause=lambda _: 10**6) as carrier:
        assert deliver(carrier, ada) == {"failed": 1}
        (logged,) = client.get(f"/v1/webhooks/{made['id']}/deliveries").json()["data"]
        (attempt,) = logged["attempts"]
        assert (logged["state"], attempt["status"], attempt["answer"]) == ("failed", 500, "oh")
        again = client.post(f"/v1/webhooks/deliveries/{logged['id']}/redeliver", format="json")
        assert (again.status_code, again.json()["state"]) == (202, "pending")
        assert deliver(carrier, ada) == {"delivered": 1}
    (logged,) = client.get(f"/v1/webhooks/{made['id']}/deliveries").json()["data"]
    assert [attempt["status"] for attempt in logged["attempts"]] == [500, 200]


def test_a_rotation_shows_a_new_secret_once(ada: Customer) -> None:
    made = make(ada)
    answer = ada.client().post(f"/v1/webhooks/{made['id']}/rotate-secret", format="json")
    assert answer.json()["secret"] != made["secret"]
    assert answer.json()["previous_secret_until"]
    assert answer["Cache-Control"] == "no-store"
    assert "secret" not in ada.client().get(f"/v1/webhooks/{made['id']}").json()


def test_the_default_secret_is_kept_until_it_is_rotated(ada: Customer) -> None:
    client = ada.client()
    first = client.get("/v1/webhooks/default/secret").json()
    assert (first["id"], first["secret"]) == ("default", client.get("/v1/webhooks/default/secret").json()["secret"])
    rotated = client.post("/v1/webhooks/default/rotate-secret", format="json").json()
    assert rotated["secret"] == client.get("/v1/webhooks/default/secret").json()["secret"] != first["secret"]
    assert client.get("/v1/webhooks/default/deliveries").json() == {"object": "list", "data": [], "next_cursor": None}
    assert client.get("/v1/webhooks").json()["data"] == []


def test_the_log_has_pages(ada: Customer) -> None:
    client, made = ada.client(), make(ada)
    ids = [client.post(f"/v1/webhooks/{made['id']}/test", format="json").json()["id"] for _ in range(3)]
    page = client.get(f"/v1/webhooks/{made['id']}/deliveries", {"limit": 2}).json()
    rest = client.get(f"/v1/webhooks/{made['id']}/deliveries", {"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [[each["id"] for each in one["data"]] for one in (page, rest)] == [ids[:0:-1], ids[:1]]
    assert rest["next_cursor"] is None


def test_what_is_sent_to_a_disabled_endpoint_is_refused(ada: Customer) -> None:
    client, made = ada.client(), make(ada)
    client.patch(f"/v1/webhooks/{made['id']}", {"enabled": False}, format="json")
    assert client.post(f"/v1/webhooks/{made['id']}/test", format="json").json()["code"] == "already_finished"


def test_deleting_an_endpoint_forgets_its_log(ada: Customer) -> None:
    client, made = ada.client(), make(ada)
    client.post(f"/v1/webhooks/{made['id']}/test", format="json")
    client.delete(f"/v1/webhooks/{made['id']}")
    with platform_role():
        assert not WebhookDelivery.objects.filter(tenant=ada.tenant).exists()


def test_an_account_has_so_many_endpoints(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.endpoints.MOST", 1)
    make(ada)
    answer = ada.client().post("/v1/webhooks", HOOK, format="json")
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")


def test_reading_endpoints_does_not_let_one_change_them() -> None:
    reader = make_customer("Reader", scopes=["webhooks:read"]).client()
    assert reader.get("/v1/webhooks").status_code == 200
    assert reader.post("/v1/webhooks", HOOK, format="json").json()["code"] == "insufficient_scope"
    assert reader.get("/v1/webhooks/default/secret").json()["code"] == "insufficient_scope"
    assert reader.post(f"/v1/webhooks/deliveries/{uuid4()}/redeliver", format="json").status_code == 403


def test_a_host_without_an_address_may_get_one_later(ada: Customer) -> None:
    with override_settings(OUTBOUND_ALLOW=[]):
        make(ada, url="https://no-such-host.invalid/hook")


def test_every_kind_of_event_can_be_subscribed_to_but_the_test(ada: Customer) -> None:
    make(ada, events=sorted(set(webhooks.KINDS) - {"webhook.test", "prediction.completed"}))
