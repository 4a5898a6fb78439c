"""A test key costs nothing, needs no worker, and can be made to see everything that may happen."""

import io
from time import process_time
from typing import Any

import pytest
from django.test import Client
from PIL import Image as PILImage

from billing import plans, reconciliation
from billing.models import Hold, Tally, Wallet
from easel import clock
from easel.database import platform_role
from easel.problems import KINDS
from generation import rehearsal
from generation.models import Flow, Generation
from generation.source import PostgresSource
from tenants import keys
from tests.cast import Customer, make_customer
from tests.generation.conftest import Workshop


@pytest.fixture
def tester(ada: Customer) -> Customer:
    """Ada, with a test key."""
    return with_test_key(ada)


@pytest.fixture
def nothing_waiting() -> None:
    """What other tests have asked for is not ended in this one."""
    with platform_role():
        Generation.objects.filter(pool__name=rehearsal.POOL, status="queued").update(status="canceled")


def with_test_key(customer: Customer) -> Customer:
    with platform_role():
        key, secret = keys.mint(customer.tenant, name="test", scopes=sorted(keys.SCOPES), mode="test")
    return Customer(customer.tenant, key, secret)


def post(tester: Customer, workshop: Workshop, **fields: Any) -> Any:
    return tester.client().post("/v1/generations", workshop.body(**fields), format="json")


def ended(tester: Customer, generation_id: str) -> dict[str, Any]:
    """After as many runs as it takes while other tests' generations have their turns."""
    for _ in range(20):
        clock.perform("end_rehearsals")
        whole = dict(tester.client().get(f"/v1/generations/{generation_id}").json())
        if whole["status"] != "queued":
            break
    return whole


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


def test_what_a_test_made_answers_no_live_request(ada: Customer, tester: Customer, workshop: Workshop) -> None:
    headers = {"Idempotency-Key": "article-17"}
    tried, live = (
        each.client().post("/v1/generations", workshop.body(), format="json", headers=headers) for each in (tester, ada)
    )
    assert (live.status_code, live.json()["quote"]["credits"] > 0) == (202, True)
    assert live.json()["id"] != tried.json()["id"]


@pytest.mark.parametrize("word", ["completed", "running"])
def test_what_is_unfinished_can_be_canceled_and_erased(tester: Customer, workshop: Workshop, word: str) -> None:
    client = tester.client()
    ids = [post(tester, workshop, metadata={"easel_test": word}).json()["id"] for _ in range(2)]
    if word == "running":
        clock.perform("end_rehearsals")
    assert client.post(f"/v1/generations/{ids[0]}/cancel", format="json").status_code in {200, 202}
    assert ended(tester, ids[0])["status"] == "canceled"
    assert client.delete(f"/v1/generations/{ids[1]}").status_code == 204
    clock.perform("end_rehearsals")
    assert client.get(f"/v1/generations/{ids[1]}").status_code == 404


def test_a_live_key_says_the_magic_words_in_vain(ada: Customer, workshop: Workshop) -> None:
    answer = ada.client().post("/v1/generations", workshop.body(metadata={"easel_test": "overloaded"}), format="json")
    assert (answer.status_code, answer.json()["quote"]["credits"] > 0) == (202, True)


def test_tests_leave_the_books_in_order(tester: Customer, workshop: Workshop) -> None:
    post(tester, workshop)
    ended(tester, post(tester, workshop).json()["id"])
    with platform_role():
        assert not any(reconciliation.run(tenant_id=tester.id).values())


def test_no_more_wait_than_the_plan_lets_wait(workshop: Workshop) -> None:
    tester = with_test_key(make_customer("Small", plan="free"))
    with platform_role():
        bound = plans.limits_of(tester.id).queued_jobs
    first, *_ = [post(tester, workshop).json()["id"] for _ in range(bound)]
    refused = post(tester, workshop)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_queued")
    assert (refused["RateLimit-Policy"], refused["Retry-After"]) == (f'"queued";q={bound};w=5', "5")
    with platform_role():
        assert Generation.objects.filter(tenant=tester.tenant).count() == bound, "a refusal leaves no trace"
    assert ended(tester, first)["status"] == "completed"
    assert post(tester, workshop).status_code == 202


def test_on_a_large_plan_fewer_tests_wait_than_generations(
    tester: Customer, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "MOST_WAITING", 2)
    assert [post(tester, workshop).status_code for _ in range(3)] == [202, 202, 429]
    begun = post(with_test_key(make_customer("Other")), workshop, metadata={"easel_test": "running"})
    assert begun.status_code == 202, "others' do not count"


@pytest.mark.usefixtures("nothing_waiting")
def test_a_crowd_of_one_tenants_tests_does_not_keep_another_waiting(
    tester: Customer, bob: Customer, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "BATCH", 2)
    for _ in range(10):
        post(tester, workshop)
    other = with_test_key(bob)
    later = post(other, workshop).json()["id"]
    clock.perform("end_rehearsals")
    assert other.client().get(f"/v1/generations/{later}").json()["status"] == "completed"


@pytest.mark.usefixtures("nothing_waiting")
def test_a_run_ends_when_its_time_is_over(
    tester: Customer, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "RUN_SECONDS", 0.0)
    for _ in range(3):
        post(tester, workshop)
    assert [clock.perform("end_rehearsals") for _ in range(4)] == [1, 1, 1, 0]


@pytest.mark.parametrize("format_", ["png", "webp", "jpeg"])
def test_a_large_picture_costs_little(format_: str) -> None:
    """As many colors as bands, in blocks: half a second of a slow core at most for the largest size there is."""
    started = process_time()
    file = rehearsal.encode(rehearsal.draw("a red apple", 7, 4096, 2048), format_)
    assert process_time() - started < 0.5
    picture = PILImage.open(io.BytesIO(file)).convert("RGB")
    assert picture.size == (4096, 2048)
    if format_ != "jpeg":
        assert len(picture.getcolors(1000) or []) <= rehearsal.BANDS + 1
