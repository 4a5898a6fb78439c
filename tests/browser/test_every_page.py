"""Every page of the console in both themes: nothing serious for axe, nothing wider than the screen, on a phone too."""

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page

from easel.database import platform_role
from generation.models import Generation, Image
from generation.refusals import AFTER, CODE
from tenants import navigation, permissions
from tenants.models import APIKey, Tenant, WebhookEndpoint
from tests.browser.conftest import Opens
from tests.browser.easel import Easel
from tests.browser.test_the_gallery import draw
from tests.cast import Customer

DOORS = (
    "/console/sign-in",
    "/console/sign-up",
    "/console/account/password/reset",
    "/console/account/password/reset/sent",
    "/console/account/password/reset/done",
    "/console/account/confirm",
    "/console/account/inactive",
    "/console/nothing-here",
)
OWN = (
    "/console/account/email",
    "/console/account/password/change",
    "/console/account/second-factor",
    "/console/account/second-factor/app",
    "/console/account/passkeys",
    "/console/account/passkeys/add",
    "/console/account/reauthenticate",
    "/console/sign-out",
    "/console/account/sessions",
    "/console/workspaces",
    "/console/welcome",
)
LEVELS = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
COLORS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
TO_LOOK_FOR = {"light": LEVELS, "dark": COLORS}  # the two themes differ in nothing but colors


def of_one_thing(customer: Customer) -> list[str]:
    """Pages that no navigation names: of a picture, with a public link, of one that waits for staff and one that was
    refused, and of a webhook endpoint, with a delivery."""
    client, picture = customer.client(), draw(customer, "a red apple")
    image = client.get(f"/v1/generations/{picture}").json()["images"][0]["id"]
    assert client.post(f"/v1/images/{image}/shares", {}, format="json").status_code == 201
    asked = {"url": "https://93.184.215.14/hook", "events": ["generation.completed"]}
    endpoint = client.post("/v1/webhooks", asked, format="json").json()["id"]
    client.post(f"/v1/webhooks/{endpoint}/test", format="json")
    held, refused = draw(customer, "a green pear"), draw(customer, "a blue fish")
    with platform_role():
        Generation.objects.filter(id=held).update(status="in_review")
        Image.objects.filter(generation_id=held).update(released_at=None)
        Generation.objects.filter(id=refused).update(status="rejected", error_code=CODE, error_detail=AFTER)
        Image.objects.filter(generation_id=refused).update(released_at=None, rejected_at=datetime.now(UTC))
    return [*(f"/console/gallery/{each}" for each in (picture, held, refused)), f"/console/webhooks/{endpoint}"]


def pages() -> list[str]:
    """Everything in the navigation that is a page of the console."""
    found = [entry.url for entry in navigation.entries_for(frozenset(permissions.PERMISSIONS))]
    return list(dict.fromkeys([url for url in found if url.startswith("/console/")] + list(OWN)))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_hinders_anybody(easel: Easel, open_page: Opens, theme: str) -> None:
    customer, _user, cookie = easel.visitor()
    inside = pages() + of_one_thing(customer)
    wrong: list[str] = []
    for paths, page in ((DOORS, open_page(color_scheme=theme)), (inside, open_page(cookie, color_scheme=theme))):
        page.watch.allowed.append("404 (Not Found)")  # type: ignore[attr-defined]  # the page that is not there
        for path in paths:
            page.goto(path)
            wrong += [f"{path} {theme}: {each}" for each in findings(page, TO_LOOK_FOR[theme])]
            if theme == "light":
                wrong += too_wide(page, path)
    assert wrong == []


def test_the_longest_names_make_no_page_wider(easel: Easel, open_page: Opens) -> None:
    customer, _user, cookie = easel.visitor()
    asked = {"url": "https://93.184.215.14/hook", "events": ["generation.completed"]}
    endpoint = "/console/webhooks/" + customer.client().post("/v1/webhooks", asked, format="json").json()["id"]
    with platform_role():
        Tenant.objects.filter(id=customer.id).update(name="W" * 150)
        APIKey.objects.filter(tenant=customer.tenant).update(name="W" * 100)
        WebhookEndpoint.objects.filter(tenant=customer.tenant).update(description="W" * 200)
    page = open_page(cookie)
    wrong: list[str] = []
    for path in (endpoint, "/console/webhooks", "/console/limits", "/console/keys", "/console/workspaces", "/console/"):
        page.goto(path)
        wrong += too_wide(page, path)
    assert wrong == []


def findings(page: Page, what: dict[str, Any] = LEVELS) -> list[str]:
    page.evaluate(_axe())
    found: dict[str, Any] = page.evaluate(
        "what => axe.run(document, {runOnly: what, resultTypes: ['violations']})", what
    )
    return [
        f"{each['id']} ({each['impact']}): {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"][:2]
    ]


def too_wide(page: Page, path: str) -> list[str]:
    wrong = []
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            wrong.append(f"{path} is {over} px wider than {width}")
    return wrong


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
