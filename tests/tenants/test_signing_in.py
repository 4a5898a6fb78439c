"""The console's door opens for members, and does not know staff."""

import pytest
from django.core.management import call_command
from django.test import Client

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
