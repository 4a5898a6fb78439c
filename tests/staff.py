"""Staff at their port, past both steps of their sign-in."""

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client, override_settings

from easel.database import platform_role
from easel.identifiers import new_id
from tenants.models import User
from tenants.staff_door import PASSED

PASSWORD = "correct horse battery"


def staff_person(*, superuser: bool = True) -> User:
    email = f"staff-{new_id().hex}@easel.local"
    return User.objects.create_user(email, PASSWORD, is_staff=True, is_superuser=superuser)


@contextmanager
def at_the_staff_port() -> Iterator[None]:
    with platform_role(), override_settings(ROOT_URLCONF="easel.staff_urls"):
        yield


def let_in(person: User) -> Client:
    """A browser that has passed the second factor. Only inside `at_the_staff_port`."""
    browser = Client(headers={"accept": "text/html"})
    browser.force_login(person)
    app = TOTP.activate(person, generate_totp_secret())
    session = browser.session
    session[PASSED] = str(app.instance.pk)
    session.save()
    return browser
