"""`GET /v1/generations`: newest first, page by page, each once, however many arrive meanwhile."""

from typing import Any

import pytest

from easel.database import changed, platform_role
from tests.cast import Customer
from tests.counting import queries
from tests.generation.conftest import Workshop, make_workshop


def pages(customer: Customer, **parameters: Any) -> list[list[str]]:
    found, cursor = [], ""
    while cursor is not None:
        answer = customer.client().get("/v1/generations", {**parameters, "cursor": cursor}).json()
        found.append([each["id"] for each in answer["data"]])
        cursor = answer["next_cursor"]
    return found


def test_every_generation_is_on_one_page_newest_first(ada: Customer, bob: Customer, workshop: Workshop) -> None:
    mine = [str(workshop.submit(ada)) for _ in range(5)]
    workshop.submit(bob)
    assert pages(ada, limit=2) == [mine[:2:-1], mine[2:0:-1], mine[:1]]
    assert pages(ada) == [mine[::-1]]


def test_pages_do_not_shift_when_more_arrive(ada: Customer, workshop: Workshop) -> None:
    first = [str(workshop.submit(ada)) for _ in range(3)]
    page = ada.client().get("/v1/generations", {"limit": 2}).json()
    workshop.submit(ada)
    rest = ada.client().get("/v1/generations", {"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [each["id"] for each in rest["data"]] == first[:1]


def test_pages_are_filtered_by_status_and_model(ada: Customer, workshop: Workshop, tiny_folder: Any) -> None:
    other = make_workshop(str(tiny_folder))
    one, two = str(workshop.submit(ada)), str(other.submit(ada))
    with platform_role():
        changed("UPDATE generation_generation SET status = 'completed' WHERE id = %s", [two])
    assert pages(ada, status="queued") == [[one]]
    assert pages(ada, model=other.model.name) == [[two]]
    assert pages(ada, status="failed") == [[]]


def test_what_was_erased_is_on_no_page(ada: Customer, workshop: Workshop) -> None:
    kept, erased = str(workshop.submit(ada)), str(workshop.submit(ada))
    ada.client().delete(f"/v1/generations/{erased}")
    assert pages(ada) == [[kept]]


@pytest.mark.parametrize(
    ("parameters", "field", "code"),
    [
        ({"limit": "0"}, "limit", "out_of_range"),
        ({"limit": "101"}, "limit", "out_of_range"),
        ({"limit": "٣"}, "limit", "out_of_range"),
        ({"limit": "9" * 500}, "limit", "out_of_range"),
        ({"cursor": "nonsense"}, "cursor", "invalid_cursor"),
        ({"cursor": "ü"}, "cursor", "invalid_cursor"),
        ({"status": "done"}, "status", "invalid_choice"),
        ({"model": "a\0b"}, "model", "invalid"),
        ({"colour": "red"}, "colour", "unknown_field"),
    ],
)
def test_a_bad_parameter_is_named(ada: Customer, parameters: dict[str, str], field: str, code: str) -> None:
    answer = ada.client().get("/v1/generations", parameters)
    assert answer.status_code == 400
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [(field, code)]


def test_a_page_takes_as_many_queries_as_one_generation(ada: Customer, workshop: Workshop) -> None:
    client = ada.client()
    workshop.submit(ada)
    client.get("/v1/generations")  # what is remembered for a few seconds
    with queries() as one:
        client.get("/v1/generations")
    for _ in range(5):
        workshop.submit(ada)
    with queries() as many:
        client.get("/v1/generations")
    assert len(one) == len(many) <= 4, many
