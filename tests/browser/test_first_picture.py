"""From signing up to a picture of one's own, by clicks alone."""

import subprocess
from collections.abc import Iterator
from threading import Event, Thread

import pytest
from django.core import mail
from django.db import connections
from django.test import override_settings
from playwright.sync_api import Page, expect

from easel.database import platform_role
from tenants.founding import found_waiting
from tests.browser.conftest import Opens
from tests.browser.easel import Easel
from tests.tenants.people import PASSWORD, link_in_mail, new_address

MOST_CLICKS = 8


class Clicks:
    """Clicks by what one reads, and counts them."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def button(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.count += 1

    def link(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).first.click()
        self.count += 1


@pytest.fixture(autouse=True)
def mail_is_kept() -> Iterator[None]:
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        mail.outbox = []
        yield


@pytest.fixture
def clock() -> Iterator[None]:
    """The clock's duty that makes workspaces."""
    done = Event()

    def run() -> None:
        while not done.wait(0.2):
            with platform_role():
                found_waiting()
        connections.close_all()

    thread = Thread(target=run)
    thread.start()
    yield
    done.set()
    thread.join()


def test_sign_up_to_a_picture_in_few_clicks(easel: Easel, open_page: Opens, clock: None) -> None:
    page, email = open_page(), new_address()
    do = Clicks(page)
    page.goto("/console/sign-in")
    do.link("Sign up")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Name of your workspace").fill("Ada Pictures")
    do.button("Create account")
    page.wait_for_url("**/confirm")
    page.goto(link_in_mail(email))
    do.count += 1  # the link in the mail
    do.button("Confirm")
    if "/sign-in" in page.url:
        page.get_by_label("E-mail").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        do.button("Sign in")
    expect(page.get_by_role("link", name="Open the playground")).to_be_visible()
    do.link("Open the playground")
    do.button("a red apple")
    expect(page.locator(".slot img[data-image]")).to_be_visible()
    assert page.locator(".slot img[data-image]").evaluate("image => image.naturalWidth") == 64
    assert do.count <= MOST_CLICKS, do.count


def test_first_steps_show_the_picture_of_the_copied_lines(easel: Easel, open_page: Opens) -> None:
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie)
    page.goto("/console/first-steps")
    page.get_by_role("button", name="Make a key").click()
    lines = page.locator("#first-call").inner_text()
    done = subprocess.run(["sh", "-c", lines], capture_output=True, text=True, check=True, timeout=60)
    assert '"status": "completed"' in done.stdout.replace('":"', '": "'), done.stdout
    expect(page.get_by_text("That is your first picture.")).to_be_visible()
    expect(page.locator("img.arrived")).to_be_visible()
