"""A session that has ended leads a person to the door and back; a script is told, and never given the door's page."""

import pytest
from django.test import Client

from easel.database import platform_role
from tests.cast import Customer
from tests.tenants.people import let_in, person

HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize("headers", [HTMX, {"X-Requested-With": "fetch"}], ids=["htmx", "fetch"])
@pytest.mark.parametrize("path", ["/console/playground/draw", "/console/workspaces/switch"])
def test_a_script_hears_that_nobody_is_signed_in(path: str, headers: dict[str, str]) -> None:
    answer = Client().post(path, {"prompt": "a red apple"}, headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")


def test_a_script_hears_what_else_is_missing(ada: Customer) -> None:
    homeless, careless = let_in(person()), let_in(person(ada.tenant))
    with platform_role():
        ada.tenant.requires_two_factor = True
        ada.tenant.save(update_fields=["requires_two_factor"])
    for browser in (homeless, careless):
        answer = browser.get("/console/live", headers=HTMX)
        assert (answer.status_code, answer.content) == (403, b"")
        assert browser.get("/console/live").status_code == 302


@pytest.mark.parametrize(
    ("came", "onward"),
    [
        ("http://testserver/console/gallery?tag=logo", "/console/gallery%3Ftag%3Dlogo"),
        ("https://elsewhere.example/console/keys", "/console/"),
        ("", "/console/"),
    ],
)
def test_whoever_sent_a_form_comes_back_to_its_page(came: str, onward: str) -> None:
    """The form's own address takes no GET."""
    answer = Client().post("/console/gallery/tag", headers={"referer": came} if came else {})
    assert (answer.status_code, answer["Location"]) == (302, f"/console/sign-in?next={onward}")
