"""Stream tickets: what lets a browser follow one generation's events, where it cannot send an Authorization header.

The customer's program gets one with its token and hands it to its web page, which puts it into the stream's address as
`?ticket=…`. It opens the events of that one generation for TICKET_SECONDS and nothing else; what is open by then goes
on. It ends with its key: revoked, suspended, rotated without overlap, or used from outside the key's networks, it opens
nothing. A page of another origin may read the stream if the tenant lists that origin.
"""

import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.core import signing

from easel.problems import Problem
from tenants import keys, tokens
from tenants.authentication import may_enter, refused
from tenants.keys import KeyRecord
from tenants.tokens import Principal, TokenRefused

TICKET_SECONDS: Final = 120
NEEDS: Final = "generations:read"
_SALT: Final = "easel.ticket"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whose events may be followed, and which."""

    key: KeyRecord
    generation_id: UUID
    issued_at: float  # Unix seconds

    @property
    def tenant_id(self) -> UUID:
        return self.key.tenant_id


def issue(principal: Principal, generation_id: UUID) -> str:
    """A ticket for a generation that is the caller's: who asks looks that up before."""
    said = [principal.key.public_id, generation_id.hex, int(time.time())]
    return signing.dumps(said, salt=_SALT, compress=False)


def redeem(word: str, *, generation_id: UUID, address: str) -> Ticket:
    """The ticket behind `?ticket=`, or a Problem. Reads the database: on the event loop, call it in a thread."""
    try:
        public_id, of, issued_at = signing.loads(word, salt=_SALT, max_age=TICKET_SECONDS)
    except signing.SignatureExpired as error:
        raise Problem("token_expired", "The stream ticket has expired. Get a new one.") from error
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise _no_ticket() from error
    if of != generation_id.hex:
        raise _no_ticket()
    key = keys.find(public_id)
    if key is None:
        raise _no_ticket()
    try:
        tokens.usable(key)
    except TokenRefused as error:
        raise refused(error) from error
    if NEEDS not in key.scopes or tokens.voided(key, issued_at):
        raise _no_ticket()
    may_enter(key, address)
    return Ticket(key, generation_id, issued_at)


def cross_origin(key: KeyRecord, origin: str | None) -> dict[str, str]:
    """The CORS headers for an answer that a ticket opened. Everywhere else there are none: CORS is off."""
    if not origin or origin not in key.allowed_origins:
        return {"Vary": "Origin"}
    return {"Vary": "Origin", "Access-Control-Allow-Origin": origin}


def _no_ticket() -> Problem:
    return Problem("token_invalid", "This is no ticket for this stream.")
