"""A person signs up, confirms their address, and gets a workspace with opening credits, once per address."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import StringIO

import pytest
from django.conf import settings
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.models.signals import pre_save
from django.http import HttpResponse
from django.test import Client, override_settings

from billing.models import Wallet
from easel.database import platform_role
from tenants import founding
from tenants.models import AuditRecord, Founding, Member, User
from tests.aside import aside, name, wait_for_its_lock
from tests.tenants.people import PASSWORD, link_in_mail, new_address, person, sign_in, signed_in


@pytest.fixture(autouse=True)
def post_box() -> Iterator[None]:
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        mail.outbox = []
        yield


def sign_up(email: str, organization: str = "Ada's", password: str = PASSWORD) -> HttpResponse:
    form = {"email": email, "password1": password, "organization": organization}
    answer: HttpResponse = Client(headers={"accept": "text/html"}).post("/console/sign-up", form)
    return answer


def confirm(email: str) -> HttpResponse:
    answer: HttpResponse = Client().post(link_in_mail(email))
    return answer


def found() -> int:
    with platform_role():
        return founding.found_waiting()


def workspace_of(email: str) -> tuple[str, str, int]:
    """Name of the tenant, the person's role, credits."""
    with platform_role():
        member = Member.objects.select_related("tenant").get(user__email=email)
        return member.tenant.name, member.role, Wallet.objects.get(tenant=member.tenant).available


def test_from_signing_up_to_the_first_page() -> None:
    email = new_address()
    assert sign_up(email).status_code == 302
    with platform_role():
        user = User.objects.get(email=email)
    assert user.password.startswith("argon2")
    browser, answer = sign_in(email)
    assert answer["Location"] == "/console/account/confirm", "nobody signs in before the address is confirmed"
    assert "_auth_user_id" not in browser.session
    assert found() == 0, "and nothing is founded"
    assert confirm(email).status_code == 302
    browser = signed_in(email)
    assert browser.get("/console/", follow=True).redirect_chain == [("/console/welcome", 302)]
    assert b"being prepared" in browser.get("/console/welcome").content
    assert found() == 1
    assert browser.get("/console/").status_code == 200
    name, role, balance = workspace_of(email)
    assert (name, role) == ("Ada's", "owner")
    assert balance >= settings.OPENING_CREDITS
    with platform_role():
        tenant_id = Member.objects.get(user=user).tenant_id
        assert AuditRecord.objects.filter(tenant_id=tenant_id, action="tenant.created", actor=email).count() == 1
    assert found() == 0, "once"


def test_opening_credits_are_given_once_per_mailbox() -> None:
    email = new_address()
    name, domain = email.split("@")
    other = f"{name}+two@{domain}"
    for address in (email, other):
        sign_up(address)
        confirm(address)
    assert found() == 2
    first, second = workspace_of(email)[2], workspace_of(other)[2]
    assert first - second == settings.OPENING_CREDITS


def test_whoever_signs_up_with_a_known_address_cannot_tell_that_it_is_known() -> None:
    user = person()
    known, unknown = sign_up(user.email), sign_up(new_address())
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    (message,) = [each for each in mail.outbox if each.to == [user.email]]
    assert "confirm" not in message.subject.lower()
    assert sign_in(user)[1].status_code == 302, "the account is as it was"


def test_whoever_signs_up_with_the_address_of_staff_cannot_tell_that_it_is_known() -> None:
    staff = person(is_staff=True)
    known, unknown = sign_up(staff.email), sign_up(new_address())
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    (message,) = [each for each in mail.outbox if each.to == [staff.email]]
    assert "confirm" not in message.subject.lower()
    with platform_role():
        assert User.objects.get(email=staff.email).is_staff


def test_two_who_sign_up_with_one_address_at_once_are_answered_alike() -> None:
    email, others = new_address(), []

    def first(sender: type[User], instance: User, **_: object) -> None:
        """Is there between the look whether the address is taken and the writing down."""
        if instance.email == email and not others:
            with ThreadPoolExecutor(1) as elsewhere:
                others.append("begun")
                others.append(elsewhere.submit(lambda: sign_up_and_leave(email)).result())

    pre_save.connect(first, sender=User)
    try:
        answer = sign_up(email)
    finally:
        pre_save.disconnect(first, sender=User)
    assert (answer.status_code, answer["Location"]) == (302, "/console/account/confirm")
    assert others == ["begun", 302]
    with platform_role():
        assert User.objects.filter(email=email).count() == 1
        assert Founding.objects.filter(user__email=email).count() == 1


def sign_up_and_leave(email: str) -> int:
    try:
        return sign_up(email).status_code
    finally:
        connections.close_all()


@pytest.mark.parametrize("password", ["", "short", "password123", "1234567890"])
def test_a_weak_password_is_refused(password: str) -> None:
    email = new_address()
    assert sign_up(email, password=password).status_code == 200
    with platform_role():
        assert not User.objects.filter(email=email).exists()


def test_a_forged_or_old_link_confirms_nothing() -> None:
    email = new_address()
    sign_up(email)
    link = link_in_mail(email)
    for forged in (link[:-1] + ("A" if link[-1] != "A" else "B"), "/console/account/confirm/x:y:z"):
        Client().post(forged)
    with override_settings(ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS=-1):
        Client().post(link)
    assert sign_in(email)[1]["Location"] == "/console/account/confirm"


def test_only_a_click_confirms_not_a_look() -> None:
    email = new_address()
    sign_up(email)
    assert Client().get(link_in_mail(email)).status_code == 200
    assert sign_in(email)[1]["Location"] == "/console/account/confirm"


def test_without_open_sign_up_nobody_signs_up() -> None:
    email = new_address()
    with override_settings(SIGN_UP_OPEN=False):
        assert b"closed" in sign_up(email).content.lower()
    with platform_role():
        assert not User.objects.filter(email=email).exists()


def test_where_sign_up_is_closed_the_operator_makes_workspaces() -> None:
    owner = person()
    with override_settings(SIGN_UP_OPEN=False):
        with pytest.raises(founding.FoundingClosed):
            founding.ask(owner, "My own")
        call_command("create_tenant", "Ada & Co.", owner=owner.email.upper(), stdout=StringIO())
        assert signed_in(owner).get("/console/").status_code == 200
    assert workspace_of(owner.email)[:2] == ("Ada & Co.", "owner")
    with platform_role():
        (tenant_id,) = Member.objects.filter(user=owner).values_list("tenant_id", flat=True)
        assert AuditRecord.objects.filter(tenant_id=tenant_id, action="tenant.created", actor="easel").count() == 1
    for wrong in ({"name": "x" * 151, "owner": owner.email}, {"name": "x", "owner": person(is_staff=True).email}):
        with pytest.raises(CommandError):
            call_command("create_tenant", wrong["name"], owner=wrong["owner"])


def test_links_in_mails_lead_to_our_public_address_whatever_host_was_said() -> None:
    email = new_address()
    with override_settings(BASE_URL="https://easel.example.org"):
        Client(headers={"host": "evil.example"}).post(
            "/console/sign-up", {"email": email, "password1": PASSWORD, "organization": "x"}
        )
        user = person()
        Client(headers={"host": "evil.example"}).post("/console/account/password/reset", {"email": user.email})
    for address in (email, user.email):
        (message,) = [each for each in mail.outbox if each.to == [address]]
        assert "https://easel.example.org/console/account/" in message.body
        assert "evil.example" not in message.body


def test_a_forgotten_password_is_set_anew_by_mail_once() -> None:
    user = person()
    old_session = signed_in(user)
    Client().post("/console/account/password/reset", {"email": user.email})
    browser = Client()
    link = link_in_mail(user.email)
    form_page = browser.get(link)
    changed = "another horse battery"
    answer = browser.post(form_page["Location"], {"password1": changed, "password2": changed})
    assert answer.status_code == 302
    assert sign_in(user)[1].status_code == 200
    signed_in(user, changed)
    assert old_session.get("/console/welcome").status_code == 302, "whoever was signed in is no longer"
    assert Client().get(link).status_code == 200, "the link is spent: the page says so instead of leading on"


def test_nobody_is_mailed_who_has_no_account() -> None:
    email = new_address()
    Client().post("/console/account/password/reset", {"email": email})
    assert mail.outbox == []


def test_workspaces_that_are_asked_for_at_once_are_counted_one_after_the_other() -> None:
    user = person()
    with aside() as first, aside() as second:
        for number in range(founding.MOST_PER_PERSON):
            first.do(partial(founding.ask, user, f"Workspace {number}"))
        name(second, "one too many")
        second.begin(lambda: founding.ask(user, "One too many"))
        wait_for_its_lock("one too many")
        first.commit()
        with pytest.raises(founding.TooManyFoundings):
            second.answer()


def test_a_person_founds_a_few_workspaces_and_no_more() -> None:
    browser = signed_in(person())
    for number in range(founding.MOST_PER_PERSON):
        with override_settings(OPENING_CREDITS=0):
            browser.post("/console/welcome", {"name": f"Workspace {number}"})
            found()
    page = browser.post("/console/welcome", {"name": "One too many"})
    assert b"A person may found" in page.content
