"""The console's door opens for members, and does not know staff."""

from uuid import uuid4

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.test import Client, override_settings

from easel import clock
from easel.database import platform_role
from tenants.accounts import confirm_address
from tenants.models import Member, User
from tests.cast import Customer

PASSWORD = "correct horse battery"


def person(customer: Customer, **powers: bool) -> User:
    with platform_role():
        user = User.objects.create_user(f"{customer.id}@example.com", PASSWORD, **powers)
        Member.objects.create(tenant=customer.tenant, user=user, role=Member.Role.OWNER)
        confirm_address(user)
    return user


def sign_in(user: User) -> Client:
    client = Client()
    client.post("/console/sign-in", {"login": user.email, "password": PASSWORD})
    return client


def test_a_member_signs_in_and_the_sign_in_is_remembered(ada: Customer) -> None:
    user = person(ada)
    client = sign_in(user)
    assert client.session["_auth_user_id"] == str(user.id)
    assert client.get("/console/").status_code == 200
    user.refresh_from_db()
    assert user.last_login is not None


def test_a_superuser_is_made_by_the_command_under_the_platform_role(
    ada: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = f"root-{ada.id}@example.com"
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", database="platform", interactive=False, email=email, verbosity=0)
    with platform_role():
        assert User.objects.get(email=email).is_superuser


@pytest.mark.parametrize("power", ["is_staff", "is_superuser"])
def test_staff_are_nobody_there(power: str, ada: Customer) -> None:
    client = sign_in(person(ada, **{power: True}))
    assert "_auth_user_id" not in client.session
    assert client.get("/console/").status_code == 302


def test_a_session_ends_when_its_person_becomes_staff(ada: Customer) -> None:
    user = person(ada)
    client = sign_in(user)
    with platform_role():
        User.objects.filter(id=user.id).update(is_staff=True)
    assert client.get("/console/").status_code == 302


def test_expired_sessions_are_removed_and_no_others(ada: Customer) -> None:
    fresh, stale = sign_in(person(ada)), Client()
    session = stale.session
    session["x"] = 1
    session.set_expiry(-1)
    session.save()
    with platform_role():
        staffs = SessionStore()
        staffs["x"] = 1
        staffs.save()
        assert clock.perform("forget_sessions") >= 1
        assert staffs.exists(staffs.session_key or "")
    assert not SessionStore().exists(session.session_key or "")
    assert fresh.get("/console/").status_code == 200


def test_challenges_for_passkeys_are_not_handed_out_without_end() -> None:
    visitor = Client(headers={"x-requested-with": "XMLHttpRequest"}, REMOTE_ADDR=f"10.{uuid4().int % 250}.1.1")
    with override_settings(SIGN_INS_PER_MINUTE={"address": 3, "account": 20}):
        codes = [visitor.get("/console/account/passkeys/sign-in").status_code for _ in range(8)]
    assert codes[0] == 200
    assert 429 in codes
