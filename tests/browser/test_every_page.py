"""Every page of the console in both themes: nothing serious for axe, nothing wider than the screen, on a phone too."""

from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page

from tenants import navigation, permissions
from tests.browser.conftest import Opens
from tests.browser.easel import Easel

DOORS = ("/console/sign-in", "/console/sign-up", "/console/account/password/reset", "/console/nothing-here")
OWN = (
    "/console/account/email",
    "/console/account/password/change",
    "/console/account/second-factor",
    "/console/account/sessions",
    "/console/workspaces",
    "/console/welcome",
)
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def pages() -> list[str]:
    """Everything in the navigation that is a page of the console."""
    found = [entry.url for entry in navigation.entries_for(frozenset(permissions.PERMISSIONS))]
    return list(dict.fromkeys([url for url in found if url.startswith("/console/")] + list(OWN)))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_hinders_anybody(easel: Easel, open_page: Opens, theme: str) -> None:
    customer, _user, cookie = easel.visitor()
    customer.client().post("/v1/generations", {"prompt": "a red apple"}, format="json")
    wrong: list[str] = []
    for paths, page in ((DOORS, open_page(color_scheme=theme)), (pages(), open_page(cookie, color_scheme=theme))):
        page.watch.allowed.append("404 (Not Found)")  # type: ignore[attr-defined]  # the page that is not there
        for path in paths:
            page.goto(path)
            wrong += [f"{path} {theme}: {each}" for each in _findings(page)]
            if theme == "light":
                wrong += _too_wide(page, path)
    assert wrong == []


def _findings(page: Page) -> list[str]:
    page.evaluate(_axe())
    found: dict[str, Any] = page.evaluate(
        "levels => axe.run(document, {runOnly: {type: 'tag', values: levels}, resultTypes: ['violations']})", LEVELS
    )
    return [
        f"{each['id']} ({each['impact']}): {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"][:2]
    ]


def _too_wide(page: Page, path: str) -> list[str]:
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
