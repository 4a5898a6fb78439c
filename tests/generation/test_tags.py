"""Tags: put on, taken off, found by, and gone with what they were on."""

from typing import Any
from uuid import UUID

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils.html import escape

from easel.database import platform_role
from generation import tags
from generation.grid import Grid
from generation.models import Tag
from tenants.scope import tenant_scope
from tests.cast import Customer
from tests.generation.conftest import Workshop, make_workshop
from tests.tenants.people import let_in, person


@pytest.fixture
def shop() -> Workshop:
    return make_workshop("nowhere")


def put(customer: Customer, generation_id: UUID, *names: str) -> Any:
    path = f"/v1/generations/{generation_id}/tags"
    return customer.client().put(path, {"tags": list(names)}, format="json")


def test_a_generation_has_the_tags_it_was_given_and_no_others(ada: Customer, shop: Workshop) -> None:
    one = shop.submit(ada)
    assert put(ada, one, "Hero  Shot", "hero shot", "draft").json()["data"] == ["draft", "hero shot"]
    assert put(ada, one, "final").json()["data"] == ["final"]
    assert ada.client().get(f"/v1/generations/{one}/tags").json()["data"] == ["final"]


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        (f"hero shot, draft & {'x' * 41}", "A tag has 1 to 40 visible characters."),
        (", ".join(f"tag {number}" for number in range(21)), "A picture has at most 20 tags."),
    ],
)
def test_tags_that_are_refused_are_there_to_be_mended(
    ada: Customer, shop: Workshop, browser: Client, written: str, rule: str
) -> None:
    one = shop.submit(ada)
    put(ada, one, "before")
    answer = browser.post(f"/console/gallery/{one}/tags", {"tags": written}, follow=True)
    text = answer.content.decode()
    assert f'value="{escape(written)}"' in text
    assert rule in text
    assert ada.client().get(f"/v1/generations/{one}/tags").json()["data"] == ["before"]


# The second comma is full-width, the third one sets off the items of a Chinese list.
@pytest.mark.parametrize("comma", [", ", "\uff0c", "\u3001"])
def test_the_console_takes_the_commas_of_both_its_languages(ada: Customer, shop: Workshop, comma: str) -> None:
    one, browser = shop.submit(ada), let_in(person(ada.tenant, "developer"))
    browser.post(f"/console/gallery/{one}/tags", {"tags": f"logo{comma}\u8349\u7a3f{comma}{comma}logo"})
    with tenant_scope(ada.id):
        assert tags.of(ada.id, one) == ["logo", "\u8349\u7a3f"]
    form = QueryDict(mutable=True)
    form.update({"x_axis": "steps", "x_values": f"4{comma}8{comma}", "y_axis": "seed", "y_values": "1"})
    assert Grid.read(form, {}).columns == ["4", "8"]


def test_tags_are_counted_and_generations_are_found_by_them(ada: Customer, shop: Workshop) -> None:
    one, two, three = (shop.submit(ada) for _ in range(3))
    put(ada, one, "logo", "draft")
    put(ada, three, "logo")
    put(ada, two, "draft")
    listed = ada.client().get("/v1/tags").json()["data"]
    assert listed == [{"name": "draft", "generations": 2}, {"name": "logo", "generations": 2}]
    page = ada.client().get("/v1/generations", {"tag": "LOGO"}).json()["data"]
    assert [each["id"] for each in page] == [str(three), str(one)]


@pytest.mark.parametrize("written", ["Hero  Shot", " hero shot ", "Cafe\u0301"])
def test_a_tag_is_found_as_it_was_written(ada: Customer, shop: Workshop, written: str) -> None:
    one = shop.submit(ada)
    put(ada, one, written)
    page = ada.client().get("/v1/generations", {"tag": written}).json()["data"]
    assert [each["id"] for each in page] == [str(one)]


@pytest.mark.parametrize("name", ["", "   ", "x" * 41, "a\0b", "line\u2028break\x07"])
def test_what_is_no_tag_is_refused_by_its_field(ada: Customer, shop: Workshop, name: str) -> None:
    answer = put(ada, shop.submit(ada), name)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith("tags")


def test_a_generation_takes_at_most_twenty(ada: Customer, shop: Workshop) -> None:
    one = shop.submit(ada)
    assert put(ada, one, *(f"tag {number}" for number in range(21))).status_code == 400
    put(ada, one, *(f"tag {number}" for number in range(tags.MOST)))
    with tenant_scope(ada.id):
        assert tags.add(ada.id, [one], "one more") == 0


def test_nobody_tags_what_is_another_tenants(ada: Customer, bob: Customer, shop: Workshop) -> None:
    one = shop.submit(ada)
    assert put(bob, one, "mine").status_code == 404
    with tenant_scope(bob.id):
        assert tags.add(bob.id, [one], "mine") == 0


def test_tags_go_with_the_generation(ada: Customer, shop: Workshop) -> None:
    one = shop.submit(ada)
    put(ada, one, "secret project")
    assert ada.client().delete(f"/v1/generations/{one}").status_code == 204
    with platform_role():
        assert not Tag.objects.filter(generation_id=one).exists()
    assert ada.client().get("/v1/tags").json()["data"] == []
    assert put(ada, one, "again").status_code == 404
