"""What people draw in the console counts under one key of their workspace, and obeys what keys obey."""

import re

import pytest
from django.template.loader import render_to_string
from django.test import Client

from billing import throttling
from billing.models import NOBODY, Allowance
from easel.database import platform_role
from easel.identifiers import new_id
from generation.models import Generation
from tenants import key_changes
from tenants.audit import Actor
from tenants.models import APIKey
from tests.cast import Customer
from tests.generation.conftest import Workshop, make_workshop
from tests.tenants.people import person, signed_in

STAFF = Actor(kind="person", name="test")


def drawn(browser: Client, workshop: Workshop, **fields: str) -> Generation:
    form = {"prompt": "a red apple", "model": workshop.model.name, "width": "64", "height": "64", "steps": "2"}
    answer = browser.post("/console/playground/draw", form | fields)
    assert answer.status_code == 200, answer.content
    with platform_role():
        newest: Generation = Generation.objects.filter(model=workshop.model).select_related("key").latest("id")
    return newest


def test_every_members_pictures_count_under_the_same_key(ada: Customer) -> None:
    workshop = make_workshop("nowhere")
    first = drawn(signed_in(person(ada.tenant)), workshop)
    second = drawn(signed_in(person(ada.tenant, "developer")), workshop)
    assert first.key is not None
    assert first.key.is_console
    assert first.key_id == second.key_id
    assert first.tenant_id == ada.id


def test_nobody_takes_it_away_and_with_it_its_cap(ada: Customer) -> None:
    """Its successor would have none."""
    workshop, browser = make_workshop("nowhere"), signed_in(person(ada.tenant))
    key = drawn(browser, workshop).key
    assert key is not None
    limited = ada.client().patch(f"/v1/allowances/{key.public_id}", {"spend_cap": 1}, format="json")
    assert limited.status_code == 200, limited.content
    assert ada.client().delete(f"/v1/keys/{key.public_id}").status_code == 403
    assert ada.client().post(f"/v1/keys/{key.public_id}/rotate", {}, format="json").status_code == 403
    for deed in ("revoke", "rotate"):
        page = browser.post(f"/console/keys/{key.public_id}/{deed}", {"hours": "0"}, follow=True)
        assert "Set a spend cap for it instead" in page.content.decode()
        assert "new-key-secret" not in page.content.decode()
    with pytest.raises(key_changes.ConsolesKey):
        key_changes.revoke(key, actor=STAFF)
    form = {"prompt": "a red apple", "model": workshop.model.name, "width": "64", "height": "64", "n": "4"}
    refused = browser.post("/console/playground/draw", form)
    assert (refused.status_code, b"The spend cap is reached" in refused.content) == (402, True)
    with platform_role():
        assert APIKey.objects.get(tenant=ada.tenant, is_console=True).revoked_at is None


def test_what_is_drawn_here_is_counted_with_the_plans_calls_a_minute(ada: Customer) -> None:
    """A grid as as many requests as it has pictures, and none of them where that is too many."""
    workshop, browser = make_workshop("nowhere"), signed_in(person(ada.tenant))
    with platform_role():
        Allowance.objects.create(tenant=ada.tenant, key_id=NOBODY, requests_per_minute=3)
    throttling.forget_all()
    form = {"prompt": "a red apple", "model": workshop.model.name, "width": "64", "height": "64", "steps": "2"}
    grid = {"x_axis": "steps", "x_values": "2, 3", "y_axis": "cfg_scale", "y_values": "4, 7"}
    drawn(browser, workshop)
    refused = browser.post("/console/playground/grid", form | grid)
    assert (refused.status_code, b"A little slower" in refused.content) == (429, True)
    assert int(refused["Retry-After"]) > 0
    assert browser.post("/console/playground/draw", form).status_code == 429
    with platform_role():
        assert Generation.objects.filter(tenant=ada.tenant).count() == 1


def test_a_viewer_draws_nothing(ada: Customer) -> None:
    browser = signed_in(person(ada.tenant, "viewer"))
    assert browser.post("/console/playground/draw", {"prompt": "a red apple"}).status_code == 403
    with platform_role():
        assert not Generation.objects.filter(tenant=ada.tenant).exists()


def test_a_strangers_picture_is_no_start(ada: Customer, bob: Customer) -> None:
    """An id of another tenant's is answered as one that is not there, and says so beside the form."""
    stranger = drawn(signed_in(person(bob.tenant)), make_workshop("nowhere"))
    answer = signed_in(person(ada.tenant)).post(f"/console/images/{stranger.id}/variations")
    assert answer.status_code == 404
    assert answer["HX-Retarget"] == "#playground-problem"


def test_a_refusal_has_the_apis_status_and_a_persons_words(ada: Customer) -> None:
    answer = signed_in(person(ada.tenant)).post("/console/playground/draw", {"prompt": "", "steps": "many"})
    assert answer.status_code == 400
    text = answer.content.decode()
    assert "Something in the form does not fit" in text
    assert "<code>steps</code>" in text
    assert "<code>prompt</code>" in text


def test_the_price_of_a_run_is_the_quoted_one(ada: Customer) -> None:
    workshop, browser = make_workshop("nowhere"), signed_in(person(ada.tenant))
    form = {"prompt": "a red apple", "model": workshop.model.name, "width": "512", "height": "512", "steps": "40"}
    quoted = browser.post("/console/playground/quote", {**form, "n": "2"}).content.decode()
    made = drawn(browser, workshop, n="2", steps="40", width="512", height="512")
    assert f"{made.quote} credits" in quoted


def test_a_grid_draws_every_pair_from_one_seed(ada: Customer) -> None:
    workshop, browser = make_workshop("nowhere"), signed_in(person(ada.tenant))
    grid = {"x_axis": "steps", "x_values": "2, 3", "y_axis": "cfg_scale", "y_values": "4,7,9"}
    form = {"prompt": "a red apple", "model": workshop.model.name, "width": "64", "height": "64"}
    assert browser.post("/console/playground/grid", form | grid).status_code == 200
    with platform_role():
        made = list(Generation.objects.filter(model=workshop.model))
    assert {(each.steps, each.cfg_scale) for each in made} == {(x, y) for x in (2, 3) for y in (4, 7, 9)}
    assert len(made) == 6
    assert len({each.seed for each in made}) == 1
    too_many = browser.post("/console/playground/grid", form | grid | {"x_values": ",".join(map(str, range(1, 9)))})
    assert too_many.status_code == 400


def test_of_a_grid_that_is_refused_halfway_nothing_is_drawn_or_paid(ada: Customer) -> None:
    workshop, browser = make_workshop("nowhere"), signed_in(person(ada.tenant))
    first = drawn(browser, workshop)
    assert first.key is not None
    cap = {"spend_cap": 3 * first.quote}
    limited = ada.client().patch(f"/v1/allowances/{first.key.public_id}", cap, format="json")
    assert limited.status_code == 200, limited.content
    form = {"prompt": "a red apple", "model": workshop.model.name, "width": "64", "height": "64", "steps": "2"}
    grid = {"x_axis": "seed", "x_values": "1, 2", "y_axis": "cfg_scale", "y_values": "4, 7"}
    refused = browser.post("/console/playground/grid", form | grid)
    assert (refused.status_code, b"The spend cap is reached" in refused.content) == (402, True)
    with platform_role():
        cells = list(Generation.objects.filter(model=workshop.model).exclude(id=first.id))
        assert Generation.objects.get(id=first.id).status == "queued", "what is not the grid's is left alone"
    assert [(each.status, each.credits) for each in cells] == [("canceled", 0)] * 2
    assert drawn(browser, workshop).status == "queued", "and what they held of the cap is free again"


def test_a_form_that_is_sent_twice_at_once_is_sent_once(ada: Customer) -> None:
    """htmx drops the second; and no element inside a form takes its form's rule for its own requests."""
    page = signed_in(person(ada.tenant)).get("/console/playground").content.decode()
    for name in ("playground", "grid-form"):
        (tag,) = re.findall(rf'<form [^>]*id="{name}"[^>]*>', page)
        assert 'hx-sync="this:drop"' in tag
        assert 'hx-disinherit="hx-sync hx-disabled-elt"' in tag
    (quote,) = re.findall(r'<div id="quote"[^>]*>', page)
    assert 'hx-sync="this:replace"' in quote


def test_a_picture_is_varied_and_enlarged_once_however_fast_one_clicks() -> None:
    visitor = {"permissions": {"pictures.make"}}
    slot = {"image": {"id": new_id(), "seed": 7}, "url": "/"}
    bar = render_to_string("console/playground/slot_actions.html", {"visitor": visitor, "slot": slot})
    asking = re.findall(r"<button [^>]*hx-post=[^>]*>", bar)
    assert len(asking) == 2
    assert all('hx-sync="this:drop"' in each for each in asking)


def test_the_playground_opens_where_there_is_no_model(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generation.playground.available", lambda tenant_id: [])
    page = browser.get("/console/playground")
    assert (page.status_code, page.content.count(b'name="model"')) == (200, 1)
