"""A member signs in and finds their tenant's pictures; nobody else does."""

from uuid import uuid4

import pytest
from django.test import Client

from easel.database import platform_role
from generation.production import Production
from tenants.accounts import confirm_address
from tenants.models import Member, User
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended

PASSWORD = "correct horse battery"


def person(customer: Customer | None) -> User:
    with platform_role():
        user = User.objects.create_user(f"{uuid4().hex}@example.com", PASSWORD)
        confirm_address(user)
        if customer is not None:
            Member.objects.create(tenant=customer.tenant, user=user, role=Member.Role.VIEWER)
    return user


def signed_in(user: User) -> Client:
    browser = Client()
    answer = browser.post("/console/sign-in", {"login": user.email, "password": PASSWORD})
    assert answer.status_code == 302, answer.content
    return browser


def test_a_member_sees_the_pictures_of_their_tenant_and_no_other(
    ada: Customer, bob: Customer, workshop: Workshop, production: Production
) -> None:
    drawn = workshop.submit(ada, prompt="an apple of Ada's")
    workshop.submit(bob, prompt="a banana of Bob's")
    production.drain(workshop.pool)
    ended(drawn)
    page = signed_in(person(ada)).get("/console/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "an apple of Ada&#x27;s" in text
    assert "banana" not in text
    assert "/thumbnails/" in text
    assert "9999 credits" in text.replace(",", "").replace("\xa0", "")


def test_nobody_signed_in_is_sent_to_the_door() -> None:
    answer = Client().get("/console/")
    assert (answer.status_code, answer["Location"]) == (302, "/console/sign-in?next=/console/")


def test_a_wrong_password_is_said_so_without_saying_which_half_was_wrong(ada: Customer) -> None:
    known, unknown = person(ada).email, "nobody@example.com"
    pages = [Client().post("/console/sign-in", {"login": each, "password": "no"}) for each in (known, unknown)]
    assert [page.status_code for page in pages] == [200, 200]
    assert all(b"do not match an account" in page.content for page in pages)


def test_a_person_without_a_tenant_is_asked_whether_they_want_one() -> None:
    answer = signed_in(person(None)).get("/console/")
    assert (answer.status_code, answer["Location"]) == (302, "/console/welcome")


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/"])
def test_the_customers_port_has_no_staff_admin(path: str) -> None:
    assert Client().get(path).status_code == 404
