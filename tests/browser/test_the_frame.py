"""The frame around every page: by keyboard alone, on a phone, in another language; and what roles may see."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Opens
from tests.browser.easel import Easel


def test_the_palette_leads_anywhere_by_keyboard_alone(easel: Easel, open_page: Opens) -> None:
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie)
    page.goto("/console/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Control+k")
    page.keyboard.type("api k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/keys")


def test_enter_that_ends_a_composition_leads_nowhere(easel: Easel, open_page: Opens) -> None:
    """It takes over what an input method has put together, as for Chinese."""
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie)
    page.goto("/console/")
    page.keyboard.press("Control+k")
    page.keyboard.type("api k")
    page.locator("#palette-input").evaluate(
        """input => input.dispatchEvent(
            new KeyboardEvent("keydown", {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))"""
    )
    page.wait_for_timeout(500)
    assert page.url.endswith("/console/")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/keys")


def test_a_key_is_made_by_keyboard_alone_and_its_secret_is_shown_once(easel: Easel, open_page: Opens) -> None:
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie)
    page.goto("/console/keys")
    tab_to(page, "New key")
    page.keyboard.press("Enter")
    page.locator("#id_name").focus()
    page.keyboard.type("from the keyboard")
    page.keyboard.press("Enter")
    expect(page.locator("#new-key-secret")).to_contain_text("es_")
    page.goto("/console/keys")
    expect(page.get_by_text("from the keyboard")).to_be_visible()
    assert page.locator("#new-key-secret").count() == 0


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element of that name has the focus."""
    wanted = page.get_by_role("button", name=name, exact=True)
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("each => each === document.activeElement"):
            return
    raise AssertionError(f"Tab does not reach {name!r}.")


def test_themes_stay_after_a_reload(easel: Easel, open_page: Opens) -> None:
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie, color_scheme="light")
    page.goto("/console/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_label("Appearance and language").click()
    page.locator(".top").get_by_role("button", name="Dark", exact=True).click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_chinese_is_a_click_away_and_stays(easel: Easel, open_page: Opens) -> None:
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie)
    page.goto("/console/keys")
    page.get_by_label("Appearance and language").click()
    page.locator(".top").get_by_role("button", name="简体中文").click()
    expect(page.get_by_role("heading", name="API 密钥")).to_be_visible()
    page.goto("/console/members")
    expect(page.get_by_role("heading", name="成员")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh-hans"


def test_the_navigation_is_a_drawer_on_a_phone(easel: Easel, open_page: Opens) -> None:
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie, viewport={"width": 390, "height": 844})
    page.goto("/console/")
    entry = page.locator(".side").get_by_role("link", name="API keys")
    expect(entry).to_be_hidden()
    page.get_by_role("button", name="Open the navigation").click()
    entry.click()
    page.wait_for_url("**/console/keys")


def test_a_viewer_is_shown_what_a_viewer_may(easel: Easel, open_page: Opens) -> None:
    customer, _user, owner = easel.visitor()
    _same, viewer, cookie = easel.visitor(customer, role="viewer")
    page = open_page(cookie)
    page.goto("/console/members")
    expect(page.locator(".side").get_by_role("link", name="Members")).to_be_visible()
    assert page.locator(".side").get_by_role("link", name="Playground").count() == 0
    assert page.get_by_role("button", name="Invite somebody").count() == 0
    page = open_page(owner)
    page.goto("/console/members")
    row = page.locator("tr", has_text=viewer.email)
    row.get_by_role("combobox").select_option("developer")
    row.get_by_role("button", name="Change").click()
    expect(page.get_by_text("The role is changed.")).to_be_visible()
    page = open_page(cookie)
    page.goto("/console/")
    expect(page.locator(".side").get_by_role("link", name="Playground")).to_be_visible()
