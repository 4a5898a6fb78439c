"""Moderators at work in a real browser: with the keyboard alone, and never two on one case."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import Group
from django.test import Client, override_settings
from playwright.sync_api import Browser, Page, expect

from easel.database import platform_role
from easel.identifiers import new_id
from moderation.models import Case
from moderation.staff import ROLE
from tenants.models import Tenant, User
from tests.browser.visitors import Watched, serious, staff_port, visitor
from tests.cast import Customer
from tests.moderation.subjects import MadeUp, made_up, open_cases

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def subjects() -> Iterator[MadeUp]:
    with made_up() as known:
        yield known


@pytest.fixture(autouse=True)
def _without_a_code() -> Iterator[None]:
    """The second factor has tests of its own; here it would only be in the way."""
    with override_settings(STAFF_SECOND_FACTOR=False):
        yield


@pytest.fixture
def staff_base() -> Iterator[str]:
    with staff_port() as base:
        yield base


def until(come: Callable[[], bool]) -> None:
    """For what a page sends as it is left, which its browser tells nobody of."""
    deadline = time.monotonic() + 10
    with platform_role():
        while not come():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def moderator() -> User:
    with platform_role():
        user = User.objects.create_user(f"moderator-{new_id().hex[-8:]}@easel.local", PASSWORD, is_staff=True)
        group, _ = Group.objects.get_or_create(name=ROLE)
        user.groups.add(group)
    return user


@contextmanager
def at_work(chromium: Browser, base: str, **options: object) -> Iterator[Watched]:
    client = Client()
    with platform_role():
        client.force_login(moderator(), backend="django.contrib.auth.backends.ModelBackend")
    with visitor(chromium, base, **options) as watched:
        watched.context.add_cookies(
            [{"name": name, "value": morsel.value, "url": base} for name, morsel in client.cookies.items()]
        )
        yield watched


def queue_of(watched: Watched, customer: Customer, more: str = "") -> Page:
    page = watched.open(f"/moderation/?tenant={customer.id}{more}")
    expect(page.locator("#cases")).to_have_attribute("aria-busy", "false")
    return page


def shown(page: Page) -> str:
    return str(page.locator(".case:visible").get_attribute("data-id"))


def test_fifty_cases_are_cleared_with_the_keyboard_alone(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        open_cases(ada, 50)
    with at_work(chromium, staff_base) as watched:
        page = queue_of(watched, ada)
        expect(page.locator("#waiting")).to_have_text("50")
        for number in range(50):
            expect(page.locator(".case:visible:not([data-outcome])")).to_have_count(1)
            page.keyboard.press("1" if number % 3 else "5")
            page.keyboard.press("r" if number % 3 else "a")
        expect(page.locator("#cleared")).to_have_text("50")
        expect(page.locator("#empty")).to_be_visible()
    with platform_role():
        decided = Case.objects.filter(tenant_id=ada.id, status=Case.Status.DECIDED)
        assert decided.count() == 50
        assert decided.filter(decision="approve", reason="identity").count() == 17
        assert decided.filter(decision="reject", reason="policy").count() == 33


def test_two_moderators_never_see_the_same_case(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        open_cases(ada, 30)
    seen: list[list[str]] = [[], []]
    with at_work(chromium, staff_base) as first, at_work(chromium, staff_base) as second:
        pages = [queue_of(first, ada), queue_of(second, ada)]
        while any(page.locator(".case").count() for page in pages):
            for page, mine in zip(pages, seen, strict=True):
                if not page.locator(".case").count():
                    continue
                mine += [each.get_attribute("data-id") or "" for each in page.locator(".case").all()]
                for _ in range(page.locator(".case").count()):
                    page.keyboard.press("a")
                page.wait_for_function(
                    "id => !document.querySelector(`[data-id='${id}']`)", arg=mine[-1], timeout=10_000
                )
    assert len(seen[0]) + len(seen[1]) == 30
    assert not set(seen[0]) & set(seen[1])
    assert all(seen)


def test_a_picture_is_blurred_until_it_is_asked_for(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        open_cases(ada, 2)
    with at_work(chromium, staff_base) as watched:
        page = queue_of(watched, ada)
        clear, blurred = page.locator(".case:visible img.clear"), page.locator(".case:visible img.blurred")
        expect(clear).to_be_hidden()
        expect(blurred).to_be_visible()
        ahead = page.locator(".case").nth(1).locator("img.clear")
        page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=ahead.element_handle())
        page.keyboard.press(" ")
        expect(clear).to_be_visible()
        expect(blurred).to_be_hidden()
        page.keyboard.press(" ")
        expect(clear).to_be_hidden()


def test_what_concerns_minors_is_never_clear_and_its_words_are_not_shown(
    chromium: Browser, staff_base: str, ada: Customer, subjects: MadeUp
) -> None:
    subjects.prompt = "words that nobody reads"
    with platform_role():
        (case_id,) = open_cases(ada, 1, category="sexual/minors")
    with at_work(chromium, staff_base) as watched:
        page = queue_of(watched, ada)
        assert page.locator("img.clear").count() == 0
        page.keyboard.press(" ")
        expect(page.locator("img.blurred")).to_be_visible()
        assert subjects.prompt not in page.content()
        answer = watched.context.request.get(f"{staff_base}/moderation/cases/{case_id}/picture?clear=1")
        assert answer.status == 403


def test_a_decision_is_undone_and_the_case_is_there_again(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        (case_id,) = open_cases(ada, 1)
    with at_work(chromium, staff_base) as watched:
        page = queue_of(watched, ada)
        page.keyboard.press("r")
        expect(page.locator("#empty")).to_be_visible()
        page.keyboard.press("u")
        expect(page.locator(f".case[data-id='{case_id}']")).to_be_visible()
        expect(page.locator("#cleared")).to_have_text("0")
    with platform_role():
        assert Case.objects.get(id=case_id).status == Case.Status.OPEN


def test_equal_pictures_are_decided_together(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        open_cases(ada, 4, phash="00ff00ff00ff00ff")
        (other,) = open_cases(ada, 1)
    with at_work(chromium, staff_base) as watched:
        page = queue_of(watched, ada)
        expect(page.get_by_text("3 more alike").first).to_be_visible()
        page.keyboard.press("Shift+R")
        expect(page.locator("#cleared")).to_have_text("4")
        assert shown(page) == str(other)


def test_caps_lock_decides_no_more_than_what_is_seen(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        open_cases(ada, 3, phash="00ff00ff00ff00ff")
    with at_work(chromium, staff_base) as watched:
        page = queue_of(watched, ada)
        page.keyboard.press("R")  # a capital without Shift
        expect(page.locator("#cleared")).to_have_text("1")


def test_a_double_click_decides_no_more_than_what_is_seen(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        open_cases(ada, 3)
    with at_work(chromium, staff_base) as watched:
        page = queue_of(watched, ada)
        page.locator("[data-key=a]").dblclick()
        assert page.locator("#strip [data-outcome]").count() == 1
        expect(page.locator("#cleared")).to_have_text("1")


def test_the_space_bar_ticks_a_filter_and_shows_no_picture(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        open_cases(ada, 1)
    with at_work(chromium, staff_base) as watched:
        page = queue_of(watched, ada)
        page.locator("[name=escalated]").focus()
        page.keyboard.press(" ")
        expect(page.locator("[name=escalated]")).to_be_checked()
        expect(page.locator("img.clear")).to_be_hidden()


def test_a_decision_that_got_no_answer_is_not_shown_as_made(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        first, _second = open_cases(ada, 2)
    with at_work(chromium, staff_base) as watched:
        page = queue_of(watched, ada)
        page.route("**/decide", lambda route: route.abort())
        page.keyboard.press("r")
        expect(page.locator("#toast")).to_contain_text("That did not work")
        expect(page.locator(f".case[data-id='{first}']:not([data-outcome])")).to_have_count(1)
        page.keyboard.press("u")
        expect(page.locator("#toast")).to_contain_text("nothing to take back")
        page.unroute("**/decide")
        page.keyboard.press("r")
        page.keyboard.press("r")
        expect(page.locator("#cleared")).to_have_text("2")
        watched.troubles = [each for each in watched.troubles if "ERR_FAILED" not in each]
    with platform_role():
        assert Case.objects.filter(tenant_id=ada.id, status=Case.Status.DECIDED).count() == 2


def test_notes_and_escalation_reach_a_colleague(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        first, second = open_cases(ada, 2)
    with at_work(chromium, staff_base) as one, at_work(chromium, staff_base) as two:
        page = queue_of(one, ada)
        assert shown(page) == str(first)
        page.route("**/note", lambda route: route.abort())
        page.keyboard.press("n")
        page.keyboard.type("Is this the same as yesterday's?")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#toast")).to_contain_text("That did not work")
        one.troubles = [each for each in one.troubles if "ERR_FAILED" not in each]
        page.unroute("**/note")
        page.keyboard.press("n")
        expect(page.locator("#note textarea")).to_have_value("Is this the same as yesterday's?")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".case:visible .notes li")).to_contain_text("the same as yesterday")
        with page.expect_response(lambda answer: answer.url.endswith("/escalate")):
            page.keyboard.press("e")
        expect(page.locator(f".case[data-id='{second}']")).to_be_visible()
        theirs = queue_of(two, ada, "&escalated=1")
        assert shown(theirs) == str(first)
        expect(theirs.locator(".case:visible .notes li")).to_contain_text("the same as yesterday")


def test_no_tenants_name_makes_the_page_wider_than_a_phone(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        open_cases(ada, 1)
        Tenant.objects.filter(id=ada.id).update(name="W" * 150)
    with at_work(chromium, staff_base, viewport={"width": 375, "height": 812}) as watched:
        page = queue_of(watched, ada)
        assert page.evaluate("document.documentElement.scrollWidth") == 375


def test_what_a_moderator_leaves_is_free_at_once(chromium: Browser, staff_base: str, ada: Customer) -> None:
    with platform_role():
        open_cases(ada, 3)
    with at_work(chromium, staff_base) as one, at_work(chromium, staff_base) as two:
        queue_of(one, ada).goto(f"{staff_base}/moderation/statistics")
        until(lambda: not Case.objects.filter(tenant_id=ada.id).exclude(claimed_by="").exists())
        assert queue_of(two, ada).locator(".case").count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "statistics", "rules", "policy"])
def test_no_page_keeps_anybody_out(chromium: Browser, staff_base: str, ada: Customer, path: str, scheme: str) -> None:
    with platform_role():
        open_cases(ada, 3)
    with at_work(chromium, staff_base, color_scheme=scheme) as watched:
        page = queue_of(watched, ada) if not path else watched.open(f"/moderation/{path}")
        assert serious(page) == []
        if not path:
            page.keyboard.press("?")
            expect(page.get_by_role("heading", name="Keys")).to_be_visible()
            assert serious(page) == []
