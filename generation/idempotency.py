"""`Idempotency-Key`: the same request sent again makes nothing new. Kept for 24 hours in the tenant's own table."""

import json
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from easel.crypto import DataKey, fingerprint
from easel.database import changed, rows
from easel.identifiers import new_id
from easel.problems import Problem

LONGEST_KEY: Final = 255

# ON CONFLICT waits for a parallel twin to commit or roll back, so that exactly one of them makes the object.
_CLAIM: Final = """
INSERT INTO generation_idempotencyrecord (id, tenant_id, key, digest, generation_id) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, key) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key with the digest of what it was sent with."""

    value: str
    digest: bytes

    @classmethod
    def read(cls, header: str | None, *, method: str, path: str, body: Any, key: DataKey) -> "IdempotencyKey | None":
        """The request's key, None without one. Equal JSON has an equal digest, whatever its spelling."""
        if header is None:
            return None
        if not 1 <= len(header) <= LONGEST_KEY or not header.isascii() or not header.isprintable():
            raise Problem("invalid_request", f"Idempotency-Key takes 1 to {LONGEST_KEY} printable ASCII characters.")
        canonical = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"))
        return cls(header, fingerprint(key, b"idempotency:" + canonical.encode()))

    def claim(self, tenant_id: UUID, generation_id: UUID) -> None:
        """Bind the key to a new generation in the current transaction; raises Replayed if it made one before."""
        if changed(_CLAIM, [new_id(), tenant_id, self.value, self.digest, generation_id]) == 1:
            return
        ((made, digest),) = rows(
            "SELECT generation_id, digest FROM generation_idempotencyrecord WHERE tenant_id = %s AND key = %s",
            [tenant_id, self.value],
        )
        if bytes(digest) != self.digest:
            raise Problem("idempotency_conflict", "This Idempotency-Key was used for a different request.")
        raise Replayed(made)


class Replayed(Exception):
    """The key has made this generation before."""

    def __init__(self, generation_id: UUID) -> None:
        super().__init__(str(generation_id))
        self.generation_id = generation_id
