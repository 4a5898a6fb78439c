"""When the session, the network or the server fails under a page: it says so once, and goes on by itself."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Opens
from tests.browser.easel import Easel


def playground(easel: Easel, open_page: Opens) -> Page:
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie)
    page.goto("/console/playground")
    expect(page.locator(".quote-price")).to_have_text("1 credit")
    return page


def test_whoever_was_signed_out_is_told_so_and_keeps_their_words(easel: Easel, open_page: Opens) -> None:
    page = playground(easel, open_page)
    page.watch.allowed += ["401 (Unauthorized)", "Error Code 401"]  # type: ignore[attr-defined]
    page.context.clear_cookies(name="easel_console")
    page.fill("#prompt", "a red apple")
    expect(page.locator(".toast")).to_contain_text("You are signed out")
    page.fill("#prompt", "a red apple on a table")
    page.click("#draw")
    page.wait_for_timeout(1000)
    assert page.locator(".toast").count() == 1
    assert page.locator("[type=password]").count() == 0
    assert page.input_value("#prompt") == "a red apple on a table"
