"""Mail leaves from a thread of its own: whoever writes waits for no mail server."""

from collections.abc import Iterator
from threading import Event
from typing import Any, ClassVar

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import override_settings

from easel.database import atomic, platform_role
from tenants import letters
from tenants.letters import Postman
from tests.cast import Customer
from tests.tenants.people import person


class Stuck(BaseEmailBackend):
    """A mail server that answers nobody until it is let go."""

    let_go: ClassVar[Event]

    def send_messages(self, email_messages: Any) -> int:
        if not self.let_go.wait(20):
            raise OSError("nobody let it go")
        mail.outbox.extend(email_messages)
        return len(email_messages)


@pytest.fixture
def owner(ada: Customer) -> str:
    return person(ada.tenant).email


@pytest.fixture(autouse=True)
def _outbox() -> Iterator[None]:
    mail.outbox = []
    with override_settings(LETTERS_BESIDE=True):
        yield
    assert letters.wait()


def to_me(owner: str) -> list[str]:
    return [letter.subject for letter in mail.outbox if letter.to == [owner]]


@override_settings(EMAIL_BACKEND="tests.tenants.test_letters.Stuck")
def test_a_mail_server_that_does_not_answer_holds_up_nobody_who_writes(ada: Customer, owner: str) -> None:
    Stuck.let_go = Event()
    with platform_role():
        for number in range(3):
            with atomic():
                letters.to_managers(ada.id, subject=f"letter {number}", text="…")
    assert to_me(owner) == [], "written, and not sent"
    assert not letters.wait(0)
    Stuck.let_go.set()
    assert letters.wait()
    assert to_me(owner) == ["letter 0", "letter 1", "letter 2"]


@override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend")
def test_a_letter_that_cannot_be_sent_is_counted_and_the_next_one_goes_out(ada: Customer, owner: str) -> None:
    lost = letters.LETTERS.labels("lost")._value.get()
    with platform_role():
        letters.to_managers(ada.id, subject="two\nlines", text="…")
        letters.to_managers(ada.id, subject="one line", text="…")
    assert letters.wait()
    assert to_me(owner) == ["one line"]
    assert letters.LETTERS.labels("lost")._value.get() == lost + 1


def test_no_more_letters_wait_than_there_is_room_for() -> None:
    postman, begun, go_on, sent = Postman(most_waiting=1), Event(), Event(), []

    def first() -> None:
        begun.set()
        go_on.wait(20)

    assert postman.take(first)
    assert begun.wait(20)
    assert postman.take(lambda: sent.append("second"))
    assert not postman.take(lambda: sent.append("third"))
    go_on.set()
    assert postman.wait(20)
    assert sent == ["second"]
