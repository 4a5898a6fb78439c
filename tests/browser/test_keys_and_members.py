"""Keys as a person has them: made, copied once, rotated, revoked; and somebody who is invited and joins."""

import pytest
from django.core import mail
from django.test import override_settings
from playwright.sync_api import expect

from tests.browser.conftest import Opens
from tests.browser.easel import Easel, cookie_of
from tests.tenants.door import bearer, sign, soon
from tests.tenants.people import link_in_mail, person, signed_in

CLIPBOARD = ["clipboard-read", "clipboard-write"]


def status(public_id: str, secret: str) -> int:
    from tenants import keys

    keys.forget_all()
    return int(bearer(sign({"exp": soon()}, secret, kid=public_id)).status_code)


def test_a_key_opens_the_api_until_it_is_revoked(easel: Easel, open_page: Opens) -> None:
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie, permissions=CLIPBOARD)
    page.goto("/console/keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name", exact=True).fill("Shop")
    page.get_by_role("button", name="Create key").click()
    public_id = page.locator("#new-key-id").inner_text()
    page.get_by_role("button", name="Copy the secret").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    first = page.evaluate("navigator.clipboard.readText()")
    assert status(public_id, first) == 200
    row = page.locator("tr", has_text="Shop")
    row.get_by_role("combobox").select_option(label="old secret: ends at once")
    row.get_by_role("button", name="Rotate").click()
    second = page.locator("#new-key-secret").inner_text()
    assert (status(public_id, first), status(public_id, second)) == (401, 200)
    page.locator("tr", has_text="Shop").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("The key opens nothing any more.")).to_be_visible()
    expect(page.locator("tr", has_text="Shop")).to_contain_text("revoked")
    assert status(public_id, second) == 401


def test_the_consoles_own_key_has_no_button_that_would_end_it(easel: Easel, open_page: Opens) -> None:
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie)
    page.goto("/console/playground")
    page.fill("#prompt", "a red apple")
    page.click("#draw")
    expect(page.locator(".run img[data-image]")).to_have_count(1)
    page.goto("/console/keys")
    row = page.locator("tr", has_text="this console")
    expect(row).to_be_visible()
    assert row.get_by_role("button").count() == 0


@override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend")
def test_somebody_is_invited_joins_and_is_removed(
    easel: Easel, open_page: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "outbox", [], raising=False)
    _customer, _user, cookie = easel.visitor()
    guest = person()
    page = open_page(cookie)
    page.goto("/console/members")
    page.get_by_role("button", name="Invite somebody").click()
    page.get_by_label("E-mail").fill(guest.email)
    page.get_by_label("Role", exact=True).select_option("developer")
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.locator("tr", has_text=guest.email)).to_contain_text("invited")
    theirs = open_page(cookie_of(signed_in(guest)))
    theirs.goto(link_in_mail(guest.email))
    theirs.get_by_role("button", name="Accept").click()
    theirs.wait_for_url("**/console/")
    page.reload()
    row = page.locator("tr", has_text=guest.email)
    expect(row.get_by_role("combobox")).to_have_value("developer")
    row.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("The member is removed.")).to_be_visible()
    theirs.goto("/console/")
    theirs.wait_for_url("**/console/welcome")
