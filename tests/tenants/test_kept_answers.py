"""A secret whose answer was lost on the way is shown again to the same request, for ten minutes, and to nobody else."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connections
from rest_framework.test import APIClient

from easel.database import changed, platform_role, rows
from tenants import kept_answers, keys
from tenants.models import APIKey, KeptAnswer, WebhookEndpoint
from tests.cast import Customer

NEW_KEY = {"name": "robot", "scopes": ["generations:read"]}
HOOK = {"url": "https://example.com/hook", "events": ["generation.completed"]}


def post(customer: Customer, path: str, body: dict[str, Any], name: str | None = "once") -> Any:
    named = {} if name is None else {"HTTP_IDEMPOTENCY_KEY": name}
    return customer.client().post(path, body, format="json", **named)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/keys", NEW_KEY), ("/v1/keys/{key}/rotate", {"overlap_seconds": 60}), ("/v1/webhooks", HOOK),
     ("/v1/webhooks/default/rotate-secret", {})],
)  # fmt: skip
def test_the_same_request_gives_the_same_secret(ada: Customer, path: str, body: dict[str, Any]) -> None:
    path = path.format(key=post(ada, "/v1/keys", NEW_KEY, None).json()["id"])
    first = post(ada, path, body)
    before = state(ada)
    again = post(ada, path, body)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert first.json()["secret"]
    assert (again["Idempotent-Replayed"], again["Cache-Control"]) == ("true", "no-store")
    assert "Idempotent-Replayed" not in first
    assert state(ada) == before
    assert post(ada, path, body, "another").json()["secret"] != first.json()["secret"]


def state(customer: Customer) -> list[Any]:
    with platform_role():
        return [
            sorted(APIKey.objects.filter(tenant=customer.tenant).values_list("public_id", "secret_sealed")),
            sorted(WebhookEndpoint.objects.filter(tenant=customer.tenant).values_list("id", "secret_sealed")),
        ]


def test_a_rotated_secret_opens_at_once(ada: Customer) -> None:
    made = post(ada, "/v1/keys", NEW_KEY, None).json()
    assert keys.find(made["id"]) is not None  # remembered here, with its first secret
    secret = post(ada, f"/v1/keys/{made['id']}/rotate", {"overlap_seconds": 0}).json()["secret"]
    basic = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": secret}
    form = "application/x-www-form-urlencoded"
    assert APIClient().post("/oauth/token", urlencode(basic), content_type=form).status_code == 200


def test_another_request_or_another_caller_under_the_same_name_is_refused(ada: Customer, bob: Customer) -> None:
    secret = post(ada, "/v1/keys", NEW_KEY).json()["secret"]
    for path, body in (("/v1/keys", {**NEW_KEY, "name": "other"}), ("/v1/webhooks", HOOK)):
        answer = post(ada, path, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    with platform_role():
        key, own = keys.mint(ada.tenant, name="colleague", scopes=keys.SCOPES)
    answer = post(Customer(ada.tenant, key, own), "/v1/keys", NEW_KEY)
    assert answer.status_code == 409
    assert secret not in answer.content.decode()
    assert post(bob, "/v1/keys", NEW_KEY).status_code == 201  # names are each account's own
    assert post(ada, "/v1/keys", NEW_KEY, "\x7f").status_code == 400


def test_what_was_refused_is_not_kept(ada: Customer) -> None:
    assert post(ada, "/v1/keys", {**NEW_KEY, "scopes": ["nobody:knows"]}).status_code == 400
    gone = post(ada, "/v1/keys", NEW_KEY, None).json()["id"]
    assert ada.client().delete(f"/v1/keys/{gone}").status_code == 204
    assert post(ada, f"/v1/keys/{gone}/rotate", {}).status_code == 409
    assert post(ada, "/v1/keys", NEW_KEY).status_code == 201


def test_after_ten_minutes_the_secret_is_gone(ada: Customer) -> None:
    post(ada, "/v1/keys", NEW_KEY)
    with platform_role():
        changed(
            "UPDATE tenants_keptanswer SET created_at = now() - interval '10 minutes' WHERE tenant_id = %s", [ada.id]
        )
    before = state(ada)
    answer = post(ada, "/v1/keys", NEW_KEY)  # the clock has not come by yet
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert state(ada) == before
    with platform_role():
        kept_answers.forget_kept_answers()
        kept: KeptAnswer = KeptAnswer.objects.get(tenant=ada.tenant)
        assert kept.answer_sealed is None
        changed("UPDATE tenants_keptanswer SET created_at = now() - interval '24 hours' WHERE tenant_id = %s", [ada.id])
        kept_answers.forget_kept_answers()
        assert not KeptAnswer.objects.filter(tenant=ada.tenant).exists()
    assert post(ada, "/v1/keys", NEW_KEY).status_code == 201


def test_nothing_of_it_rests_in_clear(ada: Customer) -> None:
    made = post(ada, "/v1/keys", NEW_KEY).json()
    with platform_role():
        ((whole,),) = rows("SELECT kept::text FROM tenants_keptanswer kept WHERE tenant_id = %s", [ada.id])
    assert made["secret"] not in whole
    assert made["secret"].encode().hex() not in whole


def test_of_twenty_equal_requests_at_once_one_makes_a_key(ada: Customer) -> None:
    def ask(_: int) -> str:
        try:
            return str(post(ada, "/v1/keys", NEW_KEY).json()["secret"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(ask, range(20)))
    assert len(secrets) == 1
    with platform_role():
        assert APIKey.objects.filter(tenant=ada.tenant, name="robot").count() == 1
