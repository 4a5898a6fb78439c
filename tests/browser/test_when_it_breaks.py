"""When the session, the network or the server fails under a page: it says so once, and goes on by itself."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Opens
from tests.browser.easel import Easel

# Streams are kept in a list as they are opened, and counted while they are not closed.
KEEP_STREAMS = """
window.streams = [];
window.EventSource = class extends EventSource {
  constructor(...given) { super(...given); window.streams.push(this); }
};
"""
OPEN = "window.streams.filter((each) => each.readyState !== EventSource.CLOSED).length"


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


def waiting(easel: Easel, open_page: Opens, count: int) -> Page:
    """The playground with so many runs in it, whose painter rests."""
    customer, _user, cookie = easel.visitor()
    for number in range(count):
        customer.client().post("/v1/generations", {"prompt": f"a red apple {number}"}, format="json")
    page = open_page(cookie)
    page.add_init_script(KEEP_STREAMS)
    page.goto("/console/playground")
    expect(page.locator(".run")).to_have_count(count)
    return page


def test_many_runs_at_once_all_come_to_their_pictures(easel: Easel, open_page: Opens) -> None:
    with easel.painter.resting():
        page = waiting(easel, open_page, 6)
        page.wait_for_timeout(3000)  # those without a stream have asked once by now, together
    expect(page.locator(".run img[data-image]")).to_have_count(6)


def test_a_run_whose_answer_failed_is_asked_for_again(easel: Easel, open_page: Opens) -> None:
    with easel.painter.resting():
        page = waiting(easel, open_page, 4)
        page.watch.allowed += ["503 (Service Unavailable)", "Error Code 503"]  # type: ignore[attr-defined]
        page.route(re.compile(r"/console/runs/[0-9a-f-]{36}$"), lambda route: route.fulfill(status=503), times=1)
        page.wait_for_timeout(3000)  # one without a stream has asked by now
    expect(page.locator(".run img[data-image]")).to_have_count(4)


def test_a_tab_that_nobody_looks_at_holds_no_connection(easel: Easel, open_page: Opens) -> None:
    with easel.painter.resting():
        page = waiting(easel, open_page, 4)
        assert page.evaluate(OPEN) == 2
        look(page, away=True)
        page.wait_for_timeout(2500)  # answers that come meanwhile open none either
        assert page.evaluate(OPEN) == 0
    look(page, away=False)
    expect(page.locator(".run img[data-image]")).to_have_count(4)


def test_a_break_of_the_network_is_said_once_and_until_it_is_over(easel: Easel, open_page: Opens) -> None:
    with easel.painter.resting():
        page = waiting(easel, open_page, 1)
        page.watch.allowed += ["net::ERR_", "htmx:afterRequest", "htmx:sendError"]  # type: ignore[attr-defined]
        page.context.set_offline(True)
        page.wait_for_timeout(7000)  # three questions for the place in the queue
        expect(page.locator(".toast")).to_have_count(1)
        expect(page.locator(".toast")).to_contain_text("No connection: trying again")
        page.context.set_offline(False)
        expect(page.locator(".toast")).to_have_count(0)
    expect(page.locator(".run img[data-image]")).to_have_count(1)


def look(page: Page, *, away: bool) -> None:
    """At another tab, or back: a browser without a screen shows all of its pages."""
    page.evaluate(
        """away => {
        Object.defineProperty(document, "hidden", {value: away, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }""",
        away,
    )
