"""People with a browser: made, signed in, and reading their mail."""

import re
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from django.core import mail
from django.http import HttpResponse
from django.test import Client

from easel.database import platform_role
from tenants.accounts import confirm_address
from tenants.models import Member, Tenant, User

PASSWORD = "correct horse battery"


def new_address() -> str:
    return f"{uuid4().hex}@example.com"


def person(tenant: Tenant | None = None, role: str = "owner", *, email: str = "", **fields: Any) -> User:
    """With a confirmed address, and a member if a tenant is given."""
    with platform_role():
        user = User.objects.create_user(email or new_address(), PASSWORD, **fields)
        confirm_address(user)
        if tenant is not None:
            Member.objects.create(tenant=tenant, user=user, role=role)
    return user


def sign_in(user: User | str, password: str = PASSWORD, **sent: Any) -> tuple[Client, HttpResponse]:
    browser = Client(headers={"accept": "text/html"})
    email = user if isinstance(user, str) else user.email
    answer: HttpResponse = browser.post("/console/sign-in", {"login": email, "password": password}, **sent)
    return browser, answer


def signed_in(user: User | str, password: str = PASSWORD) -> Client:
    """From an address of its own: on a fast machine the suite signs more people in than one address may."""
    browser, answer = sign_in(user, password, REMOTE_ADDR=f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1")
    assert answer.status_code == 302, answer.content
    assert "_auth_user_id" in browser.session, answer["Location"]
    return browser


def let_in(user: User) -> Client:
    """Signed in without the way there, which costs a password's hash: for tests of what lies behind the door."""
    browser = Client(headers={"accept": "text/html"})
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return browser


def link_in_mail(to: str) -> str:
    """The path of the last link that this address was sent."""
    (message,) = [each for each in mail.outbox if each.to == [to]][-1:]
    url = re.findall(r"https?://\S+", str(message.body))[-1]
    return urlsplit(url).path


def member_id(tenant: Tenant, user: User) -> str:
    with platform_role():
        return str(Member.objects.get(tenant=tenant, user=user).id)
