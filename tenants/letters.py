"""Mail to the people who manage a tenant. It goes out after the current transaction, if that is committed.

It is sent from a thread of its own: a mail server that does not answer holds up neither the clock nor a request.
"""

import atexit
from collections.abc import Callable
from functools import cache, partial
from queue import Full, Queue
from threading import Thread
from typing import Final
from uuid import UUID

import structlog
from django.core.mail import EmailMessage, get_connection
from prometheus_client import Counter

from easel.database import connection, on_commit
from tenants.models import Member

LETTERS = Counter("easel_letters_total", "Mails to tenants' managers: sent or lost.", ["outcome"])
MANAGERS = (Member.Role.OWNER, Member.Role.ADMIN)
MOST_WAITING: Final = 1_000
PARTING_SECONDS: Final = 5.0  # for what still waits when the process ends

log = structlog.get_logger(__name__)


def to_managers(tenant_id: UUID, *, subject: str, text: str) -> None:
    """One mail to each owner and admin. Needs the platform role. A mail that cannot be sent is logged and counted: what
    it says can be read in the account, too."""
    people = Member.objects.filter(tenant_id=tenant_id, role__in=MANAGERS, user__is_active=True)
    addresses = list(people.values_list("user__email", flat=True))
    post = partial(_post, addresses, subject, text)
    if connection().in_atomic_block:
        on_commit(post)
    else:
        post()


def wait(seconds: float = PARTING_SECONDS) -> bool:
    """Until everything that was posted is sent or lost. False where that takes longer."""
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


def _post(addresses: list[str], subject: str, text: str) -> None:
    if addresses and not _postman().take(partial(_send, addresses, subject, text)):
        LETTERS.labels("lost").inc(len(addresses))
        log.error("letters.too_many", subject=subject)


def _send(addresses: list[str], subject: str, text: str) -> None:
    messages = [EmailMessage(subject, text, to=[address]) for address in addresses]
    try:
        get_connection().send_messages(messages)
    except Exception:  # whatever is wrong with this one, the next one is sent
        LETTERS.labels("lost").inc(len(messages))
        log.exception("letters.lost", subject=subject)
    else:
        LETTERS.labels("sent").inc(len(messages))
