"""The live list hears of everything in the end: what happened before it listened, and what an answer failed to tell."""

import re

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Opens
from tests.browser.easel import Easel
from tests.cast import Customer

EVENTS = "**/console/live/events"
ROW = re.compile(r"/console/live/[0-9a-f-]{36}$")


def opened(easel: Easel, open_page: Opens) -> tuple[Page, Customer, str]:
    """A page that is still to be sent to the list, and a job that waits."""
    customer, _user, cookie = easel.visitor()
    job = str(customer.client().post("/v1/generations", {"prompt": "a red apple"}, format="json").json()["id"])
    return open_page(cookie), customer, job


def cancel(customer: Customer, job: str) -> None:
    assert customer.client().post(f"/v1/generations/{job}/cancel", {}, format="json").status_code == 200


def test_what_ended_before_the_stream_opened_is_told(easel: Easel, open_page: Opens) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with easel.painter.resting():
        page, customer, job = opened(easel, open_page)
        page.route(EVENTS, hold)
        page.goto("/console/live")
        expect(page.locator(f"#job-{job}")).to_contain_text("Queued")
        cancel(customer, job)
        later = str(customer.client().post("/v1/generations", {"prompt": "a boat"}, format="json").json()["id"])
        page.wait_for_timeout(500)
        for route in held:
            route.continue_()
        expect(page.locator(f"#job-{job}")).to_contain_text("Canceled")
        expect(page.locator(f"#job-{later}")).to_contain_text("Queued")


def test_a_refused_stream_is_asked_for_again(easel: Easel, open_page: Opens) -> None:
    with easel.painter.resting():
        page, customer, job = opened(easel, open_page)
        page.watch.allowed.append("503")  # type: ignore[attr-defined]
        page.route(EVENTS, lambda route: route.fulfill(status=503), times=1)
        page.goto("/console/live")
        expect(page.get_by_text("Not connected: trying again")).to_be_visible()
        expect(page.get_by_text("Connected", exact=True)).to_be_visible()
        cancel(customer, job)
        expect(page.locator(f"#job-{job}")).to_contain_text("Canceled")


def test_a_row_that_could_not_be_had_is_asked_for_again_and_one_that_was_erased_goes(
    easel: Easel, open_page: Opens
) -> None:
    with easel.painter.resting():
        page, customer, job = opened(easel, open_page)
        page.watch.allowed += ["503", "404 (Not Found)"]  # type: ignore[attr-defined]
        page.goto("/console/live")
        expect(page.get_by_text("Connected", exact=True)).to_be_visible()
        page.route(ROW, lambda route: route.fulfill(status=503), times=1)
        cancel(customer, job)
        expect(page.locator(f"#job-{job}")).to_contain_text("Canceled")
        erased = str(customer.client().post("/v1/generations", {"prompt": "a boat"}, format="json").json()["id"])
        expect(page.locator(f"#job-{erased}")).to_be_visible()
        assert customer.client().delete(f"/v1/generations/{erased}").status_code == 204
        expect(page.locator(f"#job-{erased}")).to_have_count(0)


def test_whoever_is_signed_out_is_led_to_the_door(easel: Easel, open_page: Opens) -> None:
    with easel.painter.resting():
        page, customer, job = opened(easel, open_page)
        page.watch.allowed.append("401 (Unauthorized)")  # type: ignore[attr-defined]
        page.goto("/console/live")
        expect(page.get_by_text("Connected", exact=True)).to_be_visible()
        page.context.clear_cookies(name="easel_console")
        cancel(customer, job)
        page.wait_for_url("**/console/sign-in?next=/console/live")
