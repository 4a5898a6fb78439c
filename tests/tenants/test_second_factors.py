"""Second factors: codes by an app, passkeys, recovery codes; a workspace can demand one of each member."""

import base64
import hmac
import re
import struct
import time

import pytest
from django.db import connections
from django.test import Client, override_settings

from easel.database import platform_role
from tenants.models import Tenant, User
from tests.cast import Customer
from tests.tenants.people import PASSWORD, person, sign_in, signed_in

APP = "/console/account/second-factor/app"


def code(secret: str, *, ahead: int = 0) -> str:
    """RFC 6238, as a person's app computes it."""
    counter = struct.pack(">Q", int(time.time()) // 30 + ahead)
    digest = hmac.digest(base64.b32decode(secret + "=" * (-len(secret) % 8)), counter, "sha1")
    place = digest[-1] & 15
    number = struct.unpack(">I", digest[place : place + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**6:06d}"


def reauthenticate(browser: Client) -> None:
    browser.post("/console/account/reauthenticate", {"password": PASSWORD})


def set_up(browser: Client) -> str:
    """The secret of the app."""
    reauthenticate(browser)
    page = browser.get(APP).content.decode()
    secret = re.search(r'value="([A-Z2-7]{16,})"', page)
    assert secret, page
    answer = browser.post(APP, {"code": code(secret[1])})
    assert answer.status_code == 302, answer.content
    return secret[1]


@pytest.fixture
def user(ada: Customer) -> User:
    return person(ada.tenant)


def test_signing_in_takes_a_code_once_an_app_is_set_up(user: User) -> None:
    secret = set_up(signed_in(user))
    browser, answer = sign_in(user)
    assert answer["Location"].startswith("/console/account/second-factor/authenticate")
    assert browser.get("/console/").status_code == 302, "the password alone opens nothing"
    step = "/console/account/second-factor/authenticate"
    assert browser.post(step, {"code": "000000"}).status_code == 200
    assert browser.get("/console/").status_code == 302
    used = code(secret)
    assert browser.post(step, {"code": used}).status_code == 302
    assert browser.get("/console/").status_code == 200
    again, _ = sign_in(user)
    assert again.post(step, {"code": used}).status_code == 200, "a code is good once"
    assert "_auth_user_id" not in again.session


def test_a_recovery_code_opens_the_door_once(user: User) -> None:
    browser = signed_in(user)
    set_up(browser)
    page = browser.post("/console/account/recovery-codes/generate", follow=True).content.decode()
    codes = re.findall(r"\b\d{8}\b", page)
    assert len(codes) >= 8, page
    for expected in (302, 200):
        again, _ = sign_in(user)
        answer = again.post("/console/account/second-factor/authenticate", {"code": codes[0]})
        assert answer.status_code == expected
        assert ("_auth_user_id" in again.session) == (expected == 302)


def test_the_database_does_not_hold_the_secret_in_clear(user: User) -> None:
    secret = set_up(signed_in(user))
    with platform_role(), connections["platform"].cursor() as cursor:
        cursor.execute("SELECT data::text FROM mfa_authenticator WHERE user_id = %s", [user.id])
        stored = " ".join(row for (row,) in cursor.fetchall())
    assert stored
    assert secret not in stored


def test_guessing_codes_is_limited(user: User) -> None:
    set_up(signed_in(user))
    browser, _ = sign_in(user)
    answers = [
        browser.post("/console/account/second-factor/authenticate", {"code": f"{number:06d}"}).status_code
        for number in range(25)
    ]
    assert answers[0] == 200
    assert 429 in answers or answers.count(302) > 0
    assert "_auth_user_id" not in browser.session


def test_guesses_at_the_codes_of_one_person_count_together_from_whatever_browser(user: User) -> None:
    set_up(signed_in(user))
    browsers = [sign_in(user)[0] for _ in range(4)]
    codes = []
    with override_settings(SIGN_INS_PER_MINUTE={"address": 10_000, "account": 3}):
        for number in range(8):
            form = {"code": "000000", "username": f"{number}@example.com", "login": f"{number}@example.com"}
            step = "/console/account/second-factor/authenticate"
            codes.append(browsers[number % 4].post(step, form, REMOTE_ADDR=f"203.0.113.{number}").status_code)
    assert codes[0] == 200
    assert 429 in codes


def test_guesses_at_a_password_that_is_asked_for_again_count_for_the_person(user: User) -> None:
    browsers = [signed_in(user) for _ in range(4)]
    codes = []
    with override_settings(SIGN_INS_PER_MINUTE={"address": 10_000, "account": 3}):
        for number in range(8):
            form = {"password": "wrong", "username": f"{number}@example.com"}
            again = browsers[number % 4].post(
                "/console/account/reauthenticate", form, REMOTE_ADDR=f"203.0.113.{number}"
            )
            codes.append(again.status_code)
    assert codes[0] == 200
    assert 429 in codes


def test_a_passkey_says_only_afterwards_whose_it_is() -> None:
    with override_settings(SIGN_INS_PER_MINUTE={"address": 10_000, "account": 0}):
        answer = Client().get("/console/account/passkeys/sign-in", headers={"x-requested-with": "XMLHttpRequest"})
    assert answer.status_code == 200


def demand(tenant: Tenant) -> None:
    with platform_role():
        Tenant.objects.filter(id=tenant.id).update(requires_two_factor=True)


def test_a_workspace_can_demand_a_second_factor_of_each_member(ada: Customer, user: User) -> None:
    browser = signed_in(user)
    assert browser.get("/console/").status_code == 200
    demand(ada.tenant)
    for path in ("/console/", "/console/keys", "/console/members"):
        answer = browser.get(path)
        assert (answer.status_code, answer["Location"]) == (302, "/console/account/second-factor")
    set_up(browser)
    assert browser.get("/console/").status_code == 200


def test_an_owner_demands_it_only_after_setting_one_up(ada: Customer, user: User) -> None:
    browser = signed_in(user)
    form = {"name": "Ada", "requires_two_factor": "on", "origins": ""}
    assert browser.post("/console/settings", form).status_code == 200
    set_up(browser)
    assert browser.post("/console/settings", form).status_code == 302
    with platform_role():
        assert Tenant.objects.get(id=ada.id).requires_two_factor


def test_passkeys_are_offered_with_a_challenge_of_their_own_each_time(user: User) -> None:
    browser = signed_in(user)
    reauthenticate(browser)
    pages = [browser.get("/console/account/passkeys/add").content.decode() for _ in range(2)]
    challenges = [re.search(r'"challenge": "([^"]+)"', page) for page in pages]
    assert challenges[0]
    assert challenges[1]
    assert challenges[0][1] != challenges[1][1]
    answer = browser.post("/console/account/passkeys/add", {"name": "key", "credential": "{}"})
    assert answer.status_code == 200, "a made-up credential is refused on the form"
    login = Client().get("/console/account/passkeys/sign-in", headers={"x-requested-with": "XMLHttpRequest"})
    assert "challenge" in login.content.decode()


def test_a_person_sees_their_sessions_and_ends_the_others(user: User) -> None:
    (here, _), (there, _) = sign_in(user), sign_in(user)
    assert there.get("/console/").status_code == 200
    page = here.get("/console/account/sessions")
    assert page.content.decode().count("127.0.0.1") == 2
    assert here.post("/console/account/sessions").status_code == 302
    assert there.get("/console/").status_code == 302
    assert here.get("/console/").status_code == 200
