"""The gallery: finding, choosing many, taking them home, deleting them, and a public link from end to end."""

import io
import json
import time
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opens
from tests.browser.easel import Easel
from tests.cast import Customer

PROMPTS = ("a red apple", "a green pear", "a blue fish")


@pytest.fixture
def drawn(easel: Easel) -> Customer:
    """Three pictures, the fish the newest."""
    customer, _user, _cookie = easel.visitor()
    for prompt in PROMPTS:
        draw(customer, prompt)
    return customer


def draw(customer: Customer, prompt: str) -> str:
    client, deadline = customer.client(), time.monotonic() + 60
    generation_id = str(client.post("/v1/generations", {"prompt": prompt}, format="json").json()["id"])
    while client.get(f"/v1/generations/status/{generation_id}").json()["status"] != "completed":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return generation_id


def opened(easel: Easel, open_page: Opens, customer: Customer, path: str = "") -> Page:
    _customer, _user, cookie = easel.visitor(customer)
    page = open_page(cookie)
    page.goto(f"/console/gallery{path}")
    return page


def choose(page: Page, *prompts: str) -> None:
    for prompt in prompts:
        page.get_by_role("checkbox", name=f"Choose “{prompt}”").check()


def test_words_find_their_picture_and_its_page_tells_all(easel: Easel, open_page: Opens, drawn: Customer) -> None:
    page = opened(easel, open_page, drawn)
    expect(page.locator(".shot")).to_have_count(3)
    image = page.locator(".shot img").first
    expect(image).to_be_visible()
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=image.element_handle())
    page.get_by_label("Words of the prompt").fill("pear GREEN")
    page.keyboard.press("Enter")
    expect(page.locator(".shot")).to_have_count(1)
    expect(page.get_by_text("Looked through 3 prompts.")).to_be_visible()
    page.get_by_role("link", name="a green pear").click()
    expect(page.locator("#prompt")).to_have_text("a green pear")
    expect(page.get_by_text("browser-tiny").first).to_be_visible()
    page.goto("/console/gallery?q=nothing+of+that+kind")
    page.get_by_role("link", name="Show everything").click()
    expect(page.locator(".shot")).to_have_count(3)


def test_what_was_chosen_is_tagged_and_found_by_its_tag(easel: Easel, open_page: Opens, drawn: Customer) -> None:
    page = opened(easel, open_page, drawn)
    bar = page.locator("[data-chosen-bar]")
    expect(bar).to_be_hidden()
    choose(page, "a red apple", "a green pear")
    expect(bar).to_contain_text("2 chosen")
    bar.get_by_role("button", name="Tag…").click()
    page.get_by_label("Tag", exact=True).last.fill("Fruit")
    page.get_by_role("button", name="Put it on").click()
    expect(page.get_by_text("“fruit” was changed on 2 pictures.")).to_be_visible()
    page.locator("#f-tag").select_option("fruit")
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".shot")).to_have_count(2)


def test_enter_in_the_tag_puts_it_on(easel: Easel, open_page: Opens, drawn: Customer) -> None:
    page = opened(easel, open_page, drawn)
    choose(page, "a red apple", "a green pear")
    page.get_by_role("button", name="Tag…").click()
    page.locator("#tag-name").fill("Fruit")
    page.locator("#tag-name").press("Enter")
    expect(page.get_by_text("“fruit” was changed on 2 pictures.")).to_be_visible()


def test_too_many_cannot_be_sent(easel: Easel, open_page: Opens, drawn: Customer) -> None:
    page = opened(easel, open_page, drawn)
    page.locator("[data-collection]").evaluate("form => { form.dataset.most = 2; }")
    choose(page, *PROMPTS)
    bar = page.locator("[data-chosen-bar]")
    expect(bar).to_contain_text("at most 500 at a time")
    for name in ("Download ZIP", "Tag…", "Delete…"):
        expect(bar.get_by_role("button", name=name)).to_be_disabled()
    page.locator(".shot-box").first.uncheck()
    expect(bar.get_by_role("button", name="Download ZIP")).to_be_enabled()
    expect(bar.get_by_text("at most 500 at a time")).to_be_hidden()


def test_what_was_chosen_comes_as_one_zip_file(easel: Easel, open_page: Opens, drawn: Customer) -> None:
    page = opened(easel, open_page, drawn)
    choose(page, "a red apple", "a blue fish")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download ZIP").click()
    assert download.value.suggested_filename == "easel-pictures.zip"
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as file:
        told = json.loads(file.read("index.json"))
        assert file.testzip() is None
        assert {each["prompt"] for each in told} == {"a red apple", "a blue fish"}
        assert all(file.read(each["file"])[:4] == b"\x89PNG" for each in told)


def test_what_was_chosen_is_deleted_after_a_question(easel: Easel, open_page: Opens, drawn: Customer) -> None:
    page = opened(easel, open_page, drawn)
    first, last = page.locator(".shot-box").first, page.locator(".shot-box").nth(1)
    first.check()
    last.click(modifiers=["Shift"])
    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text("erased for good")
    page.keyboard.press("Escape")
    expect(page.locator(".shot")).to_have_count(3)
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("2 pictures were deleted.")).to_be_visible()
    expect(page.locator(".shot")).to_have_count(1)
    expect(page.locator(".shot")).to_contain_text("a red apple")


def test_a_public_link_is_open_to_a_stranger_until_it_is_withdrawn(easel: Easel, open_page: Opens) -> None:
    customer, _user, _cookie = easel.visitor()
    page = opened(easel, open_page, customer, f"/{draw(customer, 'a red apple')}")
    page.get_by_text("Public link", exact=True).click()
    page.get_by_label("It leads here").select_option("for a week")
    page.get_by_role("button", name="Make a link").click()
    address = page.locator(".share-link code").inner_text()
    assert address.startswith(easel.url)
    stranger = open_page()
    stranger.goto(address)
    expect(stranger.get_by_text("AI-generated", exact=True)).to_be_visible()
    picture = stranger.locator("figure img")
    stranger.wait_for_function("image => image.complete && image.naturalWidth === 64", arg=picture.element_handle())
    assert "a red apple" not in stranger.content()
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("The link leads nowhere any more.")).to_be_visible()
    expect(page.locator(".share-link")).to_have_count(0)
    stranger.watch.allowed.append("404 (Not Found)")  # type: ignore[attr-defined]
    answer = stranger.goto(address)
    assert answer is not None
    assert answer.status == 404
