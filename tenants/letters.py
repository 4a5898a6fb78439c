"""Mail: to the people who manage a tenant, and to one person about their own account.

What managers are told goes out after the current transaction, if that is committed. All of it is sent from a thread of
its own: a mail server that does not answer, or fails, holds up neither the clock nor an answer, which could tell by it
whether there was anything to send. What cannot be sent is logged and counted.
"""

import atexit
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import cache, partial
from queue import Full, Queue
from threading import Thread
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from prometheus_client import Counter

from easel.database import connection, on_commit
from tenants.models import Member

LETTERS = Counter("easel_letters_total", "Mails to tenants' managers and about accounts: sent or lost.", ["outcome"])
MANAGERS = (Member.Role.OWNER, Member.Role.ADMIN)
MOST_WAITING: Final = 1_000
PARTING_SECONDS: Final = 5.0  # for what still waits when the process ends

log = structlog.get_logger(__name__)


def to_managers(tenant_id: UUID, *, subject: str, text: str) -> None:
    """One mail to each owner and admin. Needs the platform role. One that cannot be sent is no loss: what it says can
    be read in the account, too."""
    people = Member.objects.filter(tenant_id=tenant_id, role__in=MANAGERS, user__is_active=True)
    addresses = list(people.values_list("user__email", flat=True))
    hand_over = partial(_hand_over, [EmailMessage(subject, text, to=[address]) for address in addresses])
    if connection().in_atomic_block:
        on_commit(hand_over)
    else:
        hand_over()


def post(message: EmailMessage) -> None:
    """Returns at once, whatever becomes of it."""
    _hand_over([message])


def wait(seconds: float = PARTING_SECONDS) -> bool:
    """Until everything that was handed over is sent or lost. False where that takes longer."""
    return _postman().wait(seconds)


class Postman:
    """Sends one letter after the other. What finds the queue full is lost."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._waiting: Queue[Callable[[], None]] = Queue(most_waiting)
        Thread(target=self._run, name="letters", daemon=True).start()
        atexit.register(self.wait, PARTING_SECONDS)

    def take(self, send: Callable[[], None]) -> bool:
        """Returns at once: whether there was room for it."""
        try:
            self._waiting.put_nowait(send)
        except Full:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        with self._waiting.all_tasks_done:
            return self._waiting.all_tasks_done.wait_for(lambda: not self._waiting.unfinished_tasks, seconds)

    def _run(self) -> None:
        while True:
            self._waiting.get()()
            self._waiting.task_done()


@cache
def _postman() -> Postman:
    """Made by the process that writes: a thread does not live on in its children."""
    return Postman()


def _hand_over(messages: Sequence[EmailMessage]) -> None:
    if not messages:
        return
    if not settings.LETTERS_BESIDE:
        _send(messages)
    elif not _postman().take(partial(copy_context().run, _send, messages)):
        LETTERS.labels("lost").inc(len(messages))
        log.error("letters.too_many", subject=messages[0].subject)


def _send(messages: Sequence[EmailMessage]) -> None:
    try:
        sent = get_connection().send_messages(messages) or 0
    except Exception:  # whatever is wrong with this one, the next one is sent
        LETTERS.labels("lost").inc(len(messages))
        log.exception("letters.lost", subject=messages[0].subject)
    else:
        LETTERS.labels("sent").inc(sent)
        LETTERS.labels("lost").inc(len(messages) - sent)  # without a server: `easel.mail` has said so
