"""The same request sent again makes nothing new."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from billing.models import Hold
from easel.database import platform_role
from generation import quotes
from generation.models import Generation, Model
from tests.cast import Customer
from tests.generation.conftest import Workshop


def test_a_replay_answers_with_the_generation_that_exists(ada: Customer, workshop: Workshop) -> None:
    key = {"Idempotency-Key": "order-17"}
    body = workshop.body()
    first = ada.client().post("/v1/generations", body, format="json", headers=key)
    again = ada.client().post("/v1/generations", dict(reversed(body.items())), format="json", headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert counted(ada) == (1, 1)


def test_another_request_under_the_same_key_conflicts(ada: Customer, workshop: Workshop) -> None:
    key = {"Idempotency-Key": "order-18"}
    ada.client().post("/v1/generations", workshop.body(), format="json", headers=key)
    answer = ada.client().post("/v1/generations", workshop.body(steps=3), format="json", headers=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert counted(ada) == (1, 1)


def test_two_tenants_may_use_the_same_key(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    key = {"Idempotency-Key": "order-19"}
    answers = [
        each.client().post("/v1/generations", workshop.body(), format="json", headers=key) for each in (ada, bob)
    ]
    assert answers[0].json()["id"] != answers[1].json()["id"]


def test_a_refused_request_leaves_its_key_free(ada: Customer, workshop: Workshop) -> None:
    key = {"Idempotency-Key": "order-20"}
    assert ada.client().post("/v1/generations", workshop.body(n=0), format="json", headers=key).status_code == 400
    assert ada.client().post("/v1/generations", workshop.body(), format="json", headers=key).status_code == 202


def test_fifty_parallel_requests_make_one_generation_and_one_hold(ada: Customer, workshop: Workshop) -> None:
    token, body = ada.token(), workshop.body()

    def post(_: int) -> str:
        try:
            client = ada.client()
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
            answer = client.post("/v1/generations", body, format="json", headers={"Idempotency-Key": "rush"})
            assert answer.status_code == 202, answer.content
            return str(answer.json()["id"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        ids = set(threads.map(post, range(50)))
    assert len(ids) == 1
    assert counted(ada) == (1, 1)


def test_a_replay_needs_nothing_of_what_it_names_any_more(
    ada: Customer, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = ada.client().post("/v1/quotes", workshop.body(), format="json").json()["quote"]
    key, body = {"Idempotency-Key": "order-21"}, workshop.body(quote=word)
    first = ada.client().post("/v1/generations", body, format="json", headers=key).json()
    monkeypatch.setattr(quotes, "QUOTE_SECONDS", -1)
    for _ in range(2):
        again = ada.client().post("/v1/generations", body, format="json", headers=key)
        assert (again.status_code, again.json().get("id")) == (202, first["id"]), again.content
        assert again["Idempotent-Replayed"] == "true"
        with platform_role():
            Model.objects.filter(id=workshop.model.id).update(enabled=False)
    other = ada.client().post("/v1/generations", workshop.body(steps=3), format="json", headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    fresh = ada.client().post("/v1/generations", body, format="json", headers={"Idempotency-Key": "order-22"})
    assert fresh.json()["errors"][0]["code"] == "unknown_model"
    assert counted(ada) == (1, 1)


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(ada: Customer, workshop: Workshop, key: str) -> None:
    answer = ada.client().post("/v1/generations", workshop.body(), format="json", headers={"Idempotency-Key": key})
    assert answer.status_code == 400


def counted(customer: Customer) -> tuple[int, int]:
    with platform_role():
        return (
            Generation.objects.filter(tenant=customer.tenant).count(),
            Hold.objects.filter(tenant=customer.tenant).count(),
        )
