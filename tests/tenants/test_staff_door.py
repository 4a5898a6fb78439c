"""Nobody sees a page of the staff's side without a password and a code."""

import re
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver

from tenants import staff_door
from tenants.models import AuditRecord, User
from tests.staff import PASSWORD, at_the_staff_port, let_in, staff_person
from tests.tenants.test_second_factors import code

STEP = "/second-factor"


@pytest.fixture(autouse=True)
def port() -> Iterator[None]:
    with at_the_staff_port():
        yield


@pytest.fixture
def moderator() -> User:
    return staff_person()


def signed_in(person: User) -> Client:
    browser = Client(headers={"accept": "text/html"})
    answer = browser.post("/admin/login/?next=/admin/", {"username": person.email, "password": PASSWORD})
    assert answer.status_code == 302, answer.content
    return browser


def set_up(browser: Client, onward: str = "/admin/") -> str:
    return set_up_by(browser, onward)[0]


def set_up_by(browser: Client, onward: str = "/admin/") -> tuple[str, str]:
    """The secret, and the code that showed that a phone has it."""
    page = browser.get(f"{STEP}?next={onward}").content.decode()
    (secret,) = re.findall(r'<code id="secret">([A-Z2-7]{32})</code>', page)
    spent = code(secret)
    answer = browser.post(f"{STEP}?next={onward}", {"code": spent})
    assert (answer.status_code, answer["Location"]) == (302, onward)
    return str(secret), spent


def pages(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[tuple[str, str]]:
    """Every address of the staff's URL conf, something made up in the place of each parameter."""
    for each in patterns:
        here = str(each.pattern)
        if isinstance(each, URLResolver):
            yield from pages(each.url_patterns, prefix + here)
        else:
            made_up = re.sub(r"<path:\w+>|<int:\w+>|<str:\w+>", "7", prefix + here)
            made_up = re.sub(r"<uuid:\w+>", "0192f0c1-0000-7000-8000-000000000000", made_up)
            yield re.sub(r"[\^$]|\(\?P<\w+>\w+\)|\(\?P<url>.*\)\$?", "", made_up), each.name or ""


def closed_pages() -> list[str]:
    open_to_all = {"staff-home", "readyz", "staff-sign-in", "login", "logout", "staff-second-factor", "set_language"}
    return [path for path, name in pages(get_resolver("easel.staff_urls").url_patterns) if name not in open_to_all]


def test_the_password_alone_opens_no_page(moderator: User) -> None:
    browser = signed_in(moderator)
    walked = closed_pages()
    assert len(walked) > 50
    assert any("/admin/billing/wallet/" in path for path in walked)
    for path in walked:
        answer = browser.get(path)
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, STEP), path
        assert browser.post(path).status_code in {302, 403}, path


def test_the_door_itself_speaks_the_readers_language(moderator: User) -> None:
    for browser in (Client(headers={"accept": "text/html"}), signed_in(moderator)):
        answer = browser.post("/language", {"language": "zh-hans", "next": STEP})
        assert (answer.status_code, answer["Location"]) == (302, STEP)
        assert browser.cookies[settings.LANGUAGE_COOKIE_NAME].value == "zh-hans"


def test_a_stranger_is_led_to_the_sign_in_from_every_page() -> None:
    for path in closed_pages():
        answer = Client().get(path)
        assert answer.status_code == 302, path
        assert answer["Location"].startswith("/admin/login/?next="), path


def test_the_walk_notices_a_door_that_was_left_out(moderator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff_door, "OPEN", staff_door.OPEN | {"admin:billing_wallet_changelist"})
    assert signed_in(moderator).get("/admin/billing/wallet/").status_code == 200


def test_a_code_opens_the_door_and_is_asked_for_at_each_sign_in(moderator: User) -> None:
    first = signed_in(moderator)
    secret, spent = set_up_by(first, "/admin/billing/wallet/")
    assert first.get("/admin/billing/wallet/").status_code == 200
    second = signed_in(moderator)
    assert second.get("/admin/").status_code == 302
    page = second.get(STEP).content.decode()
    assert secret not in page
    assert "Scan this" not in page
    assert second.post(STEP, {"code": "000000"}).status_code == 403
    assert second.post(STEP, {"code": spent}).status_code == 403, "the code of the set-up is used up"
    assert second.post(STEP, {"code": code(secret, ahead=7)}).status_code == 403
    assert second.get("/admin/").status_code == 302


def test_the_session_of_before_is_not_the_one_that_is_let_in(moderator: User) -> None:
    browser = signed_in(moderator)
    planted = browser.cookies["easel_console"].value
    set_up(browser)
    assert browser.cookies["easel_console"].value != planted
    thief = Client()
    thief.cookies["easel_console"] = planted
    assert thief.get("/admin/").status_code == 302


def test_a_lost_phone_ends_the_sessions_that_it_opened(moderator: User) -> None:
    browser = let_in(moderator)
    assert browser.get("/admin/").status_code == 200
    call_command("forget_second_factors", moderator.email.upper(), verbosity=0)
    assert browser.get("/admin/")["Location"].startswith(STEP)
    set_up(browser)
    assert browser.get("/admin/").status_code == 200


def test_guessing_codes_is_limited(moderator: User) -> None:
    let_in(moderator)
    browser = signed_in(moderator)
    answers = [browser.post(STEP, {"code": f"{number:06d}"}).status_code for number in range(25)]
    assert answers[0] == 403
    assert 429 in answers
    assert browser.get("/admin/").status_code == 302


def test_customers_cannot_even_ask_for_a_factor_there() -> None:
    person = User.objects.create_user(f"c-{staff_person().pk}@example.com", PASSWORD)
    browser = Client()
    browser.force_login(person)
    assert browser.get(STEP)["Location"] == "/admin/login/"
    assert browser.get("/admin/")["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
def test_the_way_on_leads_nowhere_else(elsewhere: str, moderator: User) -> None:
    browser = signed_in(moderator)
    page = browser.get(STEP).content.decode()
    (secret,) = re.findall(r'<code id="secret">([A-Z2-7]{32})</code>', page)
    answer = browser.post(f"{STEP}?next={elsewhere}", {"code": code(secret)})
    assert answer["Location"] == "/admin/"


def test_programs_are_told_instead_of_led_away(moderator: User) -> None:
    answer = signed_in(moderator).post("/admin/billing/wallet/", {"action": "grant"})
    assert answer.status_code == 403
    assert answer.json()["code"] == "role_not_allowed"


def test_a_setting_switches_the_second_step_off_and_leaves_the_first(moderator: User) -> None:
    with override_settings(STAFF_SECOND_FACTOR=False):
        assert signed_in(moderator).get("/admin/").status_code == 200
        assert Client().get("/admin/").status_code == 302


def test_signing_in_and_a_new_factor_are_on_record(moderator: User) -> None:
    set_up(signed_in(moderator))
    records = AuditRecord.objects.filter(tenant=None, actor=moderator.email).order_by("sequence")
    done = [record.action for record in records]
    assert done == ["staff.signed_in", "staff.second_factor_set_up", "staff.second_factor_passed"]
    assert all(record.actor_kind == "staff" and record.address for record in records)
