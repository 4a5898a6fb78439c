"""A test key costs nothing, needs no worker, and can be made to see everything that may happen."""

import io
from typing import Any

import pytest
from django.test import Client
from PIL import Image as PILImage

from billing import reconciliation
from billing.models import Hold, Tally, Wallet
from easel import clock
from easel.database import platform_role
from easel.problems import KINDS
from generation import rehearsal
from generation.models import Flow
from generation.source import PostgresSource
from tenants import keys
from tests.cast import Customer
from tests.generation.conftest import Workshop


@pytest.fixture
def tester(ada: Customer) -> Customer:
    """Ada, with a test key."""
    with platform_role():
        key, secret = keys.mint(ada.tenant, name="test", scopes=sorted(keys.SCOPES), mode="test")
    return Customer(ada.tenant, key, secret)


def post(tester: Customer, workshop: Workshop, **fields: Any) -> Any:
    return tester.client().post("/v1/generations", workshop.body(**fields), format="json")


def ended(tester: Customer, generation_id: str) -> dict[str, Any]:
    clock.perform("end_rehearsals")
    return dict(tester.client().get(f"/v1/generations/{generation_id}").json())


def test_a_picture_comes_out_free_without_a_worker_and_always_the_same(tester: Customer, workshop: Workshop) -> None:
    with platform_role():
        before = Wallet.objects.get(tenant=tester.tenant)
    pictures = []
    for _ in range(2):
        accepted = post(tester, workshop, seed=7, n=2, width=128, height=64)
        assert (accepted.status_code, accepted.json()["status"]) == (202, "queued")
        whole = ended(tester, accepted.json()["id"])
        assert (whole["status"], whole["credits"], whole["quote"]["credits"]) == ("completed", 0, 0)
        pictures.append([Client().get(image["url"]).content for image in whole["images"]])
    assert pictures[0] == pictures[1]
    assert pictures[0][0] != pictures[0][1]
    assert PILImage.open(io.BytesIO(pictures[0][0])).size == (128, 64)
    with platform_role():
        after = Wallet.objects.get(tenant=tester.tenant)
        assert (after.available, after.held) == (before.available, before.held)
        for model in (Hold, Flow, Tally):
            assert not model.objects.filter(tenant=tester.tenant).exists()
    assert PostgresSource().claim(workshop.pool, limit=1) == []


@pytest.mark.parametrize("format_", ["png", "webp", "jpeg"])
def test_every_format_is_one(tester: Customer, workshop: Workshop, format_: str) -> None:
    whole = ended(tester, post(tester, workshop, format=format_).json()["id"])
    assert PILImage.open(io.BytesIO(Client().get(whole["images"][0]["url"]).content)).format == format_.upper()


@pytest.mark.parametrize("word", [*rehearsal.ENDINGS, *rehearsal.FAILURES])
@pytest.mark.parametrize("way", ["metadata", "prompt"])
def test_every_ending_can_be_asked_for(tester: Customer, workshop: Workshop, word: str, way: str) -> None:
    fields = {"metadata": {"easel_test": word}} if way == "metadata" else {"prompt": f"test:{word}"}
    whole = ended(tester, post(tester, workshop, **fields).json()["id"])
    status = "failed" if word in rehearsal.FAILURES else word
    assert whole["status"] == status
    if word in rehearsal.FAILURES:
        assert whole["error"]["code"] == word
    assert bool(whole["images"]) == (word == "completed")


@pytest.mark.parametrize("code", sorted(set(KINDS) - set(rehearsal.FAILURES)))
def test_every_error_can_be_asked_for(tester: Customer, workshop: Workshop, code: str) -> None:
    answer = rehearsal_error(code)
    assert (answer.status_code, answer["Content-Type"]) == (KINDS[code].status, "application/problem+json")
    assert ("Retry-After" in answer) == (answer.status_code in {429, 503})
    if KINDS[code].status not in {404, 405, 413, 415, 416}:  # those that this call can come to
        sent = post(tester, workshop, metadata={"easel_test": code})
        assert (sent.status_code, sent.json()["code"]) == (KINDS[code].status, code)


def rehearsal_error(code: str) -> Any:
    from easel.problems import Problem, answer

    with pytest.raises(Problem) as raised:
        rehearsal.refuse({"prompt": "x", "metadata": {"easel_test": code}})
    return answer(raised.value, {})


def test_the_live_rules_hold(tester: Customer, workshop: Workshop) -> None:
    assert post(tester, workshop, steps=0).status_code == 400
    assert post(tester, workshop, width=8192).status_code == 400
    assert post(tester, workshop, model="no-such-model").status_code == 400


def test_the_same_key_makes_nothing_new(tester: Customer, workshop: Workshop) -> None:
    client, headers = tester.client(), {"Idempotency-Key": "one"}
    first, again = (
        client.post("/v1/generations", workshop.body(), format="json", headers=headers).json()["id"] for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize("word", ["completed", "running"])
def test_what_is_unfinished_can_be_canceled_and_erased(tester: Customer, workshop: Workshop, word: str) -> None:
    client = tester.client()
    ids = [post(tester, workshop, metadata={"easel_test": word}).json()["id"] for _ in range(2)]
    if word == "running":
        clock.perform("end_rehearsals")
    assert client.post(f"/v1/generations/{ids[0]}/cancel", format="json").status_code in {200, 202}
    assert ended(tester, ids[0])["status"] == "canceled"
    assert client.delete(f"/v1/generations/{ids[1]}").status_code == 204
    assert clock.perform("end_rehearsals") in {0, 1}
    assert client.get(f"/v1/generations/{ids[1]}").status_code == 404


def test_a_live_key_says_the_magic_words_in_vain(ada: Customer, workshop: Workshop) -> None:
    answer = ada.client().post("/v1/generations", workshop.body(metadata={"easel_test": "overloaded"}), format="json")
    assert (answer.status_code, answer.json()["quote"]["credits"] > 0) == (202, True)


def test_tests_leave_the_books_in_order(tester: Customer, workshop: Workshop) -> None:
    post(tester, workshop)
    ended(tester, post(tester, workshop).json()["id"])
    with platform_role():
        assert not any(reconciliation.run(tenant_id=tester.id).values())
