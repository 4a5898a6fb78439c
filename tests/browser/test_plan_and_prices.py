"""The plan with its meters, asking for another one, spend caps, and what a request costs."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Opens
from tests.browser.easel import Easel
from tests.browser.test_the_gallery import draw
from tests.cast import make_customer


def meter(page: Page, label: str) -> str:
    """Its words; how full its bar is stands behind them."""
    found = page.locator(".meter", has=page.get_by_role("progressbar", name=label, exact=True))
    return f"{found.locator('.meter-words').inner_text()} {found.locator('progress').evaluate('bar => bar.value')}"


def test_meters_follow_what_is_used(easel: Easel, open_page: Opens) -> None:
    customer = make_customer("Metered", plan="free")
    _customer, _user, cookie = easel.visitor(customer)
    page = open_page(cookie)
    page.goto("/console/plan")
    assert "0 of 500" in meter(page, "Generations today")
    draw(customer, "a red apple")
    page.reload()
    assert "1 of 500" in meter(page, "Generations today")
    assert meter(page, "Generations today").endswith(" 0.002")
    assert "1 of 5,000" in meter(page, "Generations this month")


def test_another_plan_is_asked_for_and_the_wish_taken_back(easel: Easel, open_page: Opens) -> None:
    _customer, _user, cookie = easel.visitor(make_customer("Growing", plan="free"))
    page = open_page(cookie)
    page.goto("/console/plan")
    expect(page.locator("th", has_text="Free").locator(".tag")).to_have_text("yours")
    page.get_by_role("button", name="Change to Pro").click()
    expect(page.get_by_role("note")).to_contain_text("A change of plan is asked for")
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("The plan stays as it is.")).to_be_visible()
    assert page.get_by_role("note").count() == 0


def test_a_spend_cap_of_a_key_is_set_and_holds(easel: Easel, open_page: Opens) -> None:
    customer, _user, cookie = easel.visitor()
    draw(customer, "a red apple")
    page = open_page(cookie)
    page.goto("/console/limits")
    card = page.locator(f"#{customer.key.public_id}")
    card.get_by_label("Credits a month (spend cap)").fill("1")
    card.get_by_role("button", name="Save").click()
    expect(page.locator(f"#{customer.key.public_id} .meter-words")).to_contain_text("1 of 1")
    refused = customer.client().post("/v1/generations", {"prompt": "a red apple"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (402, "spend_cap_reached")


def test_the_price_follows_the_request_as_one_writes(easel: Easel, open_page: Opens) -> None:
    customer, _user, cookie = easel.visitor()
    page = open_page(cookie)
    page.goto("/console/prices")
    page.get_by_label("Model").select_option("browser-tiny")
    asked = {"Width": 256, "Height": 256, "Steps": 100, "Images of one request": 3, "Requests a month": 1000}
    for label, value in asked.items():
        page.get_by_label(label, exact=True).fill(str(value))
    body = {"prompt": "x", "model": "browser-tiny", "width": 256, "height": 256, "steps": 100, "n": 3}
    quoted = int(customer.client().post("/v1/quotes", body, format="json").json()["credits"])
    figures = page.locator("#answer .figures")
    expect(figures.locator(".figure", has_text="Credits a request").locator("dd")).to_have_text(str(quoted))
    expect(figures.locator(".figure", has_text="Credits a month").locator("dd")).to_have_text(f"{quoted * 1000:,}")
    page.get_by_label("Steps", exact=True).fill("0")
    expect(page.locator("#answer .notice-bad")).to_contain_text("Steps")
