"""Mails about accounts go out beside the answer: the mail server's time and its failures tell nobody who has one."""

import time
from collections.abc import Iterator, Sequence
from smtplib import SMTPServerDisconnected
from threading import Event

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.http import HttpResponse
from django.test import Client, override_settings

from tenants import letters
from tests.tenants.people import new_address, person

BACKENDS = "tests.tenants.test_account_mails"
arrived: list[EmailMessage] = []
released = Event()


class Slow(BaseEmailBackend):
    """Takes a mail when it is allowed to."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        assert released.wait(10), "nobody lets it go on"
        arrived.extend(email_messages)
        return len(email_messages)


class Away(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        raise SMTPServerDisconnected("It is away.")


class Broken(BaseEmailBackend):
    """Fails as no mail server does."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        raise ValueError("A header with a line break.")


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    arrived.clear()
    released.clear()
    yield
    released.set()


def counted(outcome: str) -> float:
    return float(letters.LETTERS.labels(outcome)._value.get())


def until(reached: float, outcome: str) -> None:
    end = time.monotonic() + 10
    while counted(outcome) < reached:
        assert time.monotonic() < end
        time.sleep(0.01)


def reset(email: str) -> HttpResponse:
    answer: HttpResponse = Client(headers={"accept": "text/html"}).post(
        "/console/account/password/reset", {"email": email}
    )
    return answer


@override_settings(EMAIL_BACKEND=f"{BACKENDS}.Slow", LETTERS_BESIDE=True)
def test_the_answer_does_not_wait_for_the_mail_server() -> None:
    user, before = person(), counted("sent")
    answer = reset(user.email)
    assert answer.status_code == 302
    assert arrived == []
    released.set()
    until(before + 1, "sent")
    assert [each.to for each in arrived] == [[user.email]]


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("backend", ["Away", "Broken"])
def test_a_mail_server_that_fails_fails_no_answer_and_is_counted(backend: str, beside: bool) -> None:
    user, before = person(), counted("lost")
    with override_settings(EMAIL_BACKEND=f"{BACKENDS}.{backend}", LETTERS_BESIDE=beside):
        known, unknown = reset(user.email), reset(new_address())
        until(before + 1, "lost")
    assert (
        (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"]) == (302, known["Location"])
    )


@override_settings(EMAIL_BACKEND="easel.mail.NoServer")
def test_without_a_server_a_mail_is_lost_and_counted() -> None:
    sent, lost = counted("sent"), counted("lost")
    reset(person().email)
    assert (counted("sent"), counted("lost")) == (sent, lost + 1)
