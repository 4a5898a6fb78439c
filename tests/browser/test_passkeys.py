"""A passkey is made and used in a real browser; the authenticator is Chromium's own virtual one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

from easel.asgi import create
from easel.database import platform_role
from tenants.models import User
from tests.cast import Customer
from tests.tenants.people import PASSWORD, person
from tests.web.served import served

AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip
HOME = re.compile(r"^[^?]*/console/$")  # and not a page that will lead there


@pytest.fixture
def user(ada: Customer) -> User:
    return person(ada.tenant)


@dataclass
class Visit:
    """A person's browser at our door. A relying party has a name; an address of numbers is none."""

    context: BrowserContext
    base: str

    def open(self, path: str) -> Page:
        page = self.context.new_page()
        page.goto(self.base + path)
        return page


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    with served(create()) as port:
        context = chromium.new_context()
        context.set_default_timeout(15_000)
        yield Visit(context, f"http://localhost:{port}")
        context.close()


class Device:
    """What is in the person's pocket. It belongs to a page, and shows up in others by what `credentials` holds."""

    def __init__(self, page: Page) -> None:
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        made = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        self._id = made["authenticatorId"]

    @property
    def credentials(self) -> list[dict[str, Any]]:
        found = self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})
        return list(found["credentials"])

    def take_over(self, credential: dict[str, Any]) -> None:
        self._session.send("WebAuthn.addCredential", {"authenticatorId": self._id, "credential": credential})


def sign_in(page: Page, user: User) -> None:
    page.fill("#id_login", user.email)
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")


def sign_out(page: Page) -> None:
    page.context.clear_cookies()


def with_a_passkey(visit: Visit, user: User) -> tuple[Page, Device]:
    page = visit.open("/console/sign-in")
    device = Device(page)
    sign_in(page, user)
    page.wait_for_url(HOME)
    page.goto(f"{visit.base}/console/account/passkeys/add")
    if "/reauthenticate" in page.url:
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url("**/passkeys/add")
    assert page.locator("input[name=name]").count(), (page.url, page.content())
    page.fill("input[name=name]", "A phone")
    page.check("input[name=passwordless]")
    page.click("#mfa_webauthn_add")
    page.wait_for_url(lambda url: not url.endswith("/add"))
    return page, device


def test_a_passkey_is_made_and_signs_in_without_a_password(visit: Visit, user: User) -> None:
    page, device = with_a_passkey(visit, user)
    assert len(device.credentials) == 1
    assert device.credentials[0]["rpId"] == "localhost"
    page.goto(f"{visit.base}/console/account/passkeys")
    assert "A phone" in page.content()

    sign_out(page)
    page.goto(f"{visit.base}/console/")
    assert "/console/sign-in" in page.url
    page.click("#passkey_login")
    page.wait_for_url(HOME)
    page.goto(f"{visit.base}/console/account/email")
    assert user.email in page.content()


def test_the_password_alone_is_no_longer_enough(visit: Visit, user: User) -> None:
    page, _ = with_a_passkey(visit, user)
    sign_out(page)
    page.goto(f"{visit.base}/console/sign-in")
    sign_in(page, user)
    page.wait_for_url("**/second-factor/authenticate**")
    page.goto(f"{visit.base}/console/")
    assert "/second-factor/authenticate" in page.url, "the sign-in that was begun goes on where it stood"
    page.click("#mfa_webauthn_authenticate")
    page.wait_for_url(HOME)


def test_a_passkey_that_was_removed_opens_nothing(visit: Visit, user: User) -> None:
    page, _ = with_a_passkey(visit, user)
    with platform_role():
        Authenticator.objects.filter(user=user).delete()
    sign_out(page)
    page.goto(f"{visit.base}/console/sign-in")
    page.click("#passkey_login")
    page.wait_for_load_state("networkidle")
    page.goto(f"{visit.base}/console/")
    assert "/console/sign-in" in page.url


def test_a_copied_passkey_of_another_key_pair_opens_nothing(visit: Visit, user: User) -> None:
    """The same credential id and person, signed by somebody else's private key."""
    page, device = with_a_passkey(visit, user)
    (mine,) = device.credentials
    sign_out(page)
    other = visit.open("/console/sign-in")
    thief = Device(other)
    thief.take_over({**mine, "privateKey": FOREIGN_KEY, "signCount": 99})
    other.click("#passkey_login")
    other.wait_for_load_state("networkidle")
    other.goto(f"{visit.base}/console/")
    assert "/console/sign-in" in other.url


def _foreign_key() -> str:
    import base64

    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


FOREIGN_KEY = _foreign_key()
