"""Mail to the people who manage a tenant. It goes out after the current transaction, if that is committed."""

from functools import partial
from smtplib import SMTPException
from uuid import UUID

import structlog
from django.core.mail import EmailMessage, get_connection
from prometheus_client import Counter

from easel.database import connection, on_commit
from tenants.models import Member

LETTERS = Counter("easel_letters_total", "Mails to tenants' managers: sent or lost.", ["outcome"])
MANAGERS = (Member.Role.OWNER, Member.Role.ADMIN)

log = structlog.get_logger(__name__)


def to_managers(tenant_id: UUID, *, subject: str, text: str) -> None:
    """One mail to each owner and admin. Needs the platform role. A mail that cannot be sent is logged and counted: what
    it says can be read in the account, too."""
    people = Member.objects.filter(tenant_id=tenant_id, role__in=MANAGERS, user__is_active=True)
    addresses = list(people.values_list("user__email", flat=True))
    send = partial(_send, addresses, subject, text)
    if connection().in_atomic_block:
        on_commit(send)
    else:
        send()


def _send(addresses: list[str], subject: str, text: str) -> None:
    messages = [EmailMessage(subject, text, to=[address]) for address in addresses]
    if not messages:
        return
    try:
        get_connection().send_messages(messages)
    except (SMTPException, OSError):
        LETTERS.labels("lost").inc(len(messages))
        log.exception("letters.lost", subject=subject)
    else:
        LETTERS.labels("sent").inc(len(messages))
