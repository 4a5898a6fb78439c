"""Webhooks: an endpoint with its secret, a test message that arrives signed, and the log that says so."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import override_settings
from playwright.sync_api import Page, Route, expect

from easel.database import platform_role
from tenants import webhooks
from tenants.keys import tenant_data_key
from tenants.models import WebhookDelivery, WebhookEndpoint
from tests.browser.conftest import Opens
from tests.browser.easel import Easel
from tests.tenants.test_webhook_delivery import Mailbox, courier, deliver
from tests.web.receiver import answering, receiver

CLIPBOARD = ["clipboard-read", "clipboard-write"]


@pytest.fixture(autouse=True)
def loopback() -> Iterator[None]:
    """A receiver on this machine may be told; what other tests have written down is not sent from here."""
    with platform_role():
        WebhookDelivery.objects.filter(state="pending").delete()
    with override_settings(OUTBOUND_ALLOW=["127.0.0.1/32"]):
        yield


def test_an_endpoint_is_made_and_hears_a_test(easel: Easel, open_page: Opens) -> None:
    customer, _user, cookie = easel.visitor(role="developer")
    page, box = open_page(cookie, permissions=CLIPBOARD), Mailbox()
    page.goto("/console/webhooks")
    page.get_by_role("button", name="New endpoint").first.click()
    with receiver(box.accept) as (port, _), courier() as made:
        page.get_by_label("Address").fill(f"http://127.0.0.1:{port}/hook")
        page.get_by_role("button", name="Create endpoint").click()
        box.secret = page.locator("#webhook-secret").inner_text()
        assert box.secret.startswith("whsec_")
        page.get_by_role("button", name="Copy the secret").click()
        expect(page.get_by_text("Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == box.secret
        page.get_by_role("link", name="Open", exact=True).click()
        assert "whsec_" not in page.content()
        page.get_by_role("button", name="Send a test").click()
        row = page.locator("tbody tr")
        expect(row).to_contain_text("On its way")
        assert deliver(made, customer) == {"delivered": 1}
    (message,) = box.bodies.values()
    assert message["type"] == "webhook.test"
    page.reload()
    expect(row).to_contain_text("Delivered")
    row.locator("summary").click()
    expect(row).to_contain_text("HTTP 204")


def test_what_was_not_delivered_is_sent_again(easel: Easel, open_page: Opens) -> None:
    customer, _user, cookie = easel.visitor()
    with receiver(answering("410 Gone")) as (port, _), courier() as made:
        asked = {"url": f"http://127.0.0.1:{port}/hook", "events": ["generation.completed"]}
        endpoint = customer.client().post("/v1/webhooks", asked, format="json").json()["id"]
        customer.client().post(f"/v1/webhooks/{endpoint}/test", format="json")
        assert deliver(made, customer) == {"failed": 1}
    page = open_page(cookie)
    page.goto(f"/console/webhooks/{endpoint}")
    expect(page.locator("tbody tr")).to_contain_text("Given up")
    expect(page.get_by_text("Nothing is sent to this endpoint")).to_be_visible()
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("The endpoint is on.")).to_be_visible()
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("It is sent again now.")).to_be_visible()
    expect(page.locator("tbody tr").first).to_contain_text("On its way")


def about_to_rotate(easel: Easel, open_page: Opens) -> tuple[Page, dict[str, Any]]:
    """The page of an endpoint, with the question before a rotation; and the endpoint as it was made."""
    customer, _user, cookie = easel.visitor()
    asked = {"url": "https://93.184.215.14/hook", "events": ["generation.completed"]}
    endpoint = customer.client().post("/v1/webhooks", asked, format="json").json()
    page = open_page(cookie)
    page.goto(f"/console/webhooks/{endpoint['id']}")
    page.get_by_role("button", name="Rotate secret…").click()
    return page, endpoint


def test_a_secret_is_rotated_and_the_endpoint_deleted(easel: Easel, open_page: Opens) -> None:
    page, endpoint = about_to_rotate(easel, open_page)
    page.get_by_role("button", name="Rotate", exact=True).click()
    secret = page.locator("#webhook-secret").inner_text()
    assert secret.startswith("whsec_")
    assert secret != endpoint["secret"]
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("No endpoints yet")).to_be_visible()


def test_a_second_click_does_not_end_the_secret_that_is_to_stay_good(easel: Easel, open_page: Opens) -> None:
    page, endpoint = about_to_rotate(easel, open_page)
    sent: list[Route] = []

    def hold(route: Route) -> None:
        sent.append(route)

    page.route("**/rotate", hold)
    box = page.get_by_role("button", name="Rotate", exact=True).bounding_box()
    assert box
    for _ in range(2):
        page.mouse.click(box["x"] + 9, box["y"] + 9)
        page.wait_for_timeout(300)  # as a person's two clicks: the first one's request has left
    (only,) = sent
    only.continue_()
    expect(page.locator("#webhook-secret")).to_be_visible()
    with platform_role():
        row = WebhookEndpoint.objects.select_related("tenant").get(id=endpoint["id"])
    signing = webhooks.signing_secrets(row, key=tenant_data_key(row.tenant), now=datetime.now(UTC))
    assert signing == [page.locator("#webhook-secret").inner_text(), endpoint["secret"]]
