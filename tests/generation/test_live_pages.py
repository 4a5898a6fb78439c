"""The live list: rows of what is unfinished, and the workspace's events for whoever is signed in."""

import json
from http.client import HTTPConnection
from uuid import uuid4

import pytest
from django.test import Client

from easel.database import platform_role
from generation import events
from tests.cast import Customer
from tests.generation.conftest import make_workshop, row
from tests.tenants.people import let_in, person
from tests.web.live import easel_served
from tests.web.live import events as told
from tests.web.served import connect


def follow(port: int, browser: Client) -> HTTPConnection:
    connection = connect(port)
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
    connection.request("GET", "/console/live/events", headers={"Cookie": cookies, "Host": "testserver"})
    return connection


def test_the_list_holds_what_is_unfinished_and_nothing_else(ada: Customer, bob: Customer) -> None:
    shop = make_workshop("nowhere")
    mine, theirs = shop.submit(ada, prompt="an apple"), shop.submit(bob, prompt="a boat")
    text = let_in(person(ada.tenant, "viewer")).get("/console/live").content.decode()
    assert f'id="job-{mine}"' in text
    assert "an apple" in text
    assert str(theirs) not in text
    assert "Cancel" not in text  # a viewer looks


def test_events_reach_a_member_by_their_session(ada: Customer) -> None:
    browser = let_in(person(ada.tenant, "viewer"))
    generation_id = uuid4()
    with easel_served() as port:
        connection = follow(port, browser)
        answer = connection.getresponse()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events.publish(generation_id, "progress", {"progress": 0.5}, tenant_id=ada.id)
        event = next(told(answer))
        connection.close()
    assert (event.kind, event.data) == ("progress", {"generation": str(generation_id), "progress": 0.5})


def test_nobody_follows_without_a_session() -> None:
    answer = Client().get("/console/live/events")
    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/console/sign-in")


@pytest.mark.parametrize("deed", ["sign out", "change the password"])
def test_a_stream_of_events_ends_with_its_session(ada: Customer, deed: str) -> None:
    user = person(ada.tenant, "viewer")
    browser = let_in(user)
    with easel_served() as port:
        answer = follow(port, browser).getresponse()
        answer.readline()
        if deed == "sign out":
            browser.post("/console/sign-out")
        else:
            with platform_role():
                user.set_password("another horse, another battery")
                user.save(update_fields=["password"])
        assert [(event.kind, event.data["reason"]) for event in told(answer)] == [("end", "revoked")]


@pytest.mark.parametrize("role", ["owner", "developer"])
def test_a_job_is_canceled_from_the_list(ada: Customer, role: str) -> None:
    job = make_workshop("nowhere").submit(ada)
    browser = let_in(person(ada.tenant, role))
    assert browser.post(f"/console/live/{job}/cancel").status_code == 204
    assert row(job).status == "canceled"
    assert browser.post(f"/console/live/{job}/cancel").status_code == 404
    shown = browser.get(f"/console/live/{job}").content.decode()
    assert 'data-status="canceled"' in shown
    assert json.dumps("running") not in shown
