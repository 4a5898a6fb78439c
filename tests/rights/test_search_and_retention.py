"""Prompts are found by opening the newest; images and prompts go when their time is over."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connections
from django.test import Client

from billing import plans
from billing.models import Plan, PlanVersion
from easel import clock
from easel.clock import perform
from easel.database import changed, platform_role
from easel.identifiers import new_id
from easel.storage import storage
from generation import retention, search
from generation.models import Generation, Image
from tests.cast import Customer
from tests.generation.conftest import Workshop, until
from tests.rights.conftest import Draw, wish


def found(customer: Customer, **query: Any) -> dict[str, Any]:
    answer = customer.client().get("/v1/generations/search", query)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_prompts_are_found_by_all_their_words_newest_first(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    old = workshop.submit(ada, prompt="A Red apple on a table")
    workshop.submit(ada, prompt="a green pear")
    new = workshop.submit(ada, prompt="apple pie", negative_prompt="RED wine, café")
    workshop.submit(bob, prompt="a red apple of Bob's")
    chinese = workshop.submit(ada, prompt="一个红苹果")
    assert found(ada, q="apple red")["data"] == [str(new), str(old)]
    assert found(ada, q="CAFE")["data"] == [str(new)]
    assert found(ada, q="苹果")["data"] == [str(chinese)]
    assert found(ada, q="plum") == {"object": "list", "data": [], "searched": 4, "complete": True}
    assert found(ada, q="apple", limit=1)["data"] == [str(new)]


def test_the_search_says_how_far_it_looked(ada: Customer, workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    oldest = workshop.submit(ada, prompt="the first")
    for _ in range(5):
        workshop.submit(ada, prompt="later")
    monkeypatch.setattr(search, "BATCH", 2)
    monkeypatch.setattr(search, "NEWEST", 4)
    assert found(ada, q="first") == {"object": "list", "data": [], "searched": 4, "complete": False}
    monkeypatch.setattr(search, "NEWEST", 100)
    assert found(ada, q="first")["data"] == [str(oldest)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "q"),
        ({"q": " "}, "q"),
        ({"q": "x" * 201}, "q"),
        ({"q": "x", "limit": "0"}, "limit"),
        ({"q": "x", "page": "2"}, "page"),
    ],
)
def test_a_bad_search_names_the_field(ada: Customer, query: dict[str, str], field: str) -> None:
    answer = ada.client().get("/v1/generations/search", query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def aged(image: Image, days: float) -> None:
    with platform_role():
        changed(
            "UPDATE generation_generation SET finished_at = now() - make_interval(secs => %s) WHERE id = %s",
            [days * 86_400, image.generation_id],
        )


def test_what_is_older_than_the_tenants_wish_is_erased(ada: Customer, bob: Customer, draw: Draw) -> None:
    wish(ada, retention_days=3)
    (old,), (young,), (bobs,) = draw(ada), draw(ada), draw(bob)
    aged(old, 3.1)
    aged(young, 2.9)
    aged(bobs, 3.1)
    url = ada.client().get(f"/v1/generations/{old.generation_id}").json()["images"][0]["url"]
    assert perform("erase_what_expired") >= 1
    assert ada.client().get(f"/v1/generations/{old.generation_id}").status_code == 404
    assert Client().get(url).status_code == 404
    with platform_role():
        row = Generation.objects.get(id=old.generation_id)
        assert (bytes(row.prompt_sealed), row.metadata) == (b"", {})
        assert row.credits == 1  # the books stay
    perform("remove_leftover_objects")
    until(lambda: not storage().exists(old.object_key), seconds=10)
    for kept, customer in ((young, ada), (bobs, bob)):
        assert customer.client().get(f"/v1/generations/{kept.generation_id}").status_code == 200
        assert storage().exists(kept.object_key)


def test_what_expires_for_one_tenant_keeps_the_clock_from_nobody(
    ada: Customer, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform("erase_what_expired")
    generations = [workshop.submit(ada) for _ in range(5)]
    ada.client().post("/v1/generations/cancel", {}, format="json")
    wish(ada, retention_days=3)
    with platform_role():
        changed(
            "UPDATE generation_generation SET finished_at = now() - interval '4 days' WHERE id = ANY(%s)", [generations]
        )
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(clock, "TURN_SECONDS", 0)
    first = perform("erase_what_expired")
    assert (first, isinstance(first, clock.Unfinished)) == (1, True)
    while isinstance(perform("erase_what_expired"), clock.Unfinished):
        pass
    with platform_role():
        assert not Generation.objects.filter(id__in=generations, erased_at=None).exists()


def test_no_wish_keeps_longer_than_the_plan(ada: Customer, draw: Draw) -> None:
    limit = ada.client().get("/v1/data-policy").json()["effective_retention_days"]
    wish(ada, retention_days=limit + 10)
    assert ada.client().get("/v1/data-policy").json()["effective_retention_days"] == limit
    (image,) = draw(ada)
    aged(image, limit + 1)
    assert perform("erase_what_expired") >= 1
    assert ada.client().get(f"/v1/generations/{image.generation_id}").status_code == 404


def test_a_plan_of_before_that_keeps_for_ages_keeps_the_clock_from_nobody(
    ada: Customer, bob: Customer, draw: Draw
) -> None:
    with unbounded(), platform_role():
        plan = Plan.objects.create(slug=f"ages-{new_id().hex[:8]}", name="Ages", offered=False)
        limits = plans.Limits.of(plans.newest("free")).as_dict() | {"retention_days": 9_999_999}
        plans.change(bob.id, plans.publish(plan, **limits))
    wish(ada, retention_days=3)
    (old,), (bobs,) = draw(ada), draw(bob)
    aged(old, 3.1)
    aged(bobs, 3.1)
    assert perform("erase_what_expired") >= 1
    assert ada.client().get(f"/v1/generations/{old.generation_id}").status_code == 404
    assert bob.client().get(f"/v1/generations/{bobs.generation_id}").status_code == 200


@contextmanager
def unbounded() -> Iterator[None]:
    """As it was before the days of a plan had a bound."""
    owner = connections["owner"]
    (bound,) = [each for each in PlanVersion._meta.constraints if each.name == "plan_retention_days_are_dates"]
    with owner.schema_editor() as schema:
        schema.remove_constraint(PlanVersion, bound)
    try:
        yield
    finally:
        with owner.schema_editor() as schema:
            schema.execute(f"{bound.create_sql(PlanVersion, schema)} NOT VALID")
        owner.close()


def test_a_plans_days_have_a_bound() -> None:
    with platform_role():
        free = plans.newest("free")
        limits = plans.Limits.of(free).as_dict() | {"retention_days": 36_500}
        longest = PlanVersion(plan=free.plan, number=10**6, **limits)
        longest.full_clean()
        longest.retention_days += 1
        with pytest.raises(ValidationError, match="36500"):
            longest.full_clean()
        with pytest.raises(IntegrityError, match="plan_retention_days_are_dates"):
            plans.publish(free.plan, retention_days=36_501)


def test_a_tenant_says_how_its_data_is_kept(ada: Customer) -> None:
    client = ada.client()
    before = client.get("/v1/data-policy").json()
    assert (before["seal_images"], before["retention_days"]) == (False, None)
    answer = client.patch("/v1/data-policy", {"seal_images": True, "retention_days": 7}, format="json")
    assert answer.status_code == 200
    after = client.get("/v1/data-policy").json()
    assert (after["seal_images"], after["retention_days"], after["effective_retention_days"]) == (True, 7, 7)
    assert client.patch("/v1/data-policy", {"retention_days": None}, format="json").json()["retention_days"] is None
    assert client.get("/v1/data-policy").json()["seal_images"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"seal": True}, "seal"),
        ({"seal_images": "yes"}, "seal_images"),
        ({"retention_days": 0}, "retention_days"),
        ({"retention_days": True}, "retention_days"),
        ({"retention_days": "7"}, "retention_days"),
        ({"retention_days": 10**6}, "retention_days"),
    ],
)
def test_a_bad_wish_names_the_field_and_changes_nothing(ada: Customer, body: dict[str, Any], field: str) -> None:
    before = ada.client().get("/v1/data-policy").json()
    answer = ada.client().patch("/v1/data-policy", body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert ada.client().get("/v1/data-policy").json() == before


def test_the_store_is_told_what_to_clear_away() -> None:
    call_command("storage_lifecycle", "--expire-days", "400")
    client = storage()._client  # type: ignore[attr-defined]
    rules = client.get_bucket_lifecycle_configuration(Bucket=storage().bucket)["Rules"]  # type: ignore[attr-defined]
    assert [rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule and "Days" in rule["Expiration"]] == [
        400
    ]
