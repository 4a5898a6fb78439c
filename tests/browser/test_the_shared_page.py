"""A stranger looks at a shared picture, and complains about it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from easel.database import platform_role
from generation import shares
from moderation.models import Complaint
from tenants.audit import SYSTEM
from tests.browser.visitors import serious, visitor, web_port
from tests.cast import Customer
from tests.generation.delivered import delivered

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def web_base() -> Iterator[str]:
    with web_port() as base:
        yield base


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_stranger_sees_what_it_is_and_complains(chromium: Browser, web_base: str, ada: Customer, scheme: str) -> None:
    image = delivered(ada)
    made = shares.share(ada.id, image.id, actor=SYSTEM, days=None)
    path = shares.address(ada.id, made.id, base_url="")
    with visitor(chromium, web_base, color_scheme=scheme, viewport=PHONE) as watched:
        page = watched.open(path)
        picture = page.locator("figure img")
        page.wait_for_function("image => image.complete && image.naturalWidth === 96", arg=picture.element_handle())
        expect(page.get_by_text("AI-generated", exact=True)).to_be_visible()
        assert serious(page) == []
        page.get_by_text("Complain about this picture").click()
        page.get_by_label("It shows me or somebody I know").check()
        page.get_by_label("What should we know?").fill("That is me.")
        assert serious(page) == []
        page.get_by_role("button", name="Send the complaint").click()
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
        assert serious(page) == []
        receipt = page.locator(".receipt").inner_text()
    with platform_role():
        assert Complaint.objects.get(tenant_id=ada.id).receipt == receipt
