"""What an `Idempotency-Key` made: the same request sent again is answered with that generation. Kept for 24 hours in
the tenant's own table."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import easel.idempotency
from easel.database import changed, rows
from easel.identifiers import new_id
from tenants.scope import tenant_scope

# ON CONFLICT waits for a parallel twin to commit or roll back, so that exactly one of them makes the object.
_CLAIM: Final = """
INSERT INTO generation_idempotencyrecord (id, tenant_id, key, digest, generation_id) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, key) DO NOTHING
"""
_MADE: Final = "SELECT generation_id, digest FROM generation_idempotencyrecord WHERE tenant_id = %s AND key = %s"


@dataclass(frozen=True, slots=True)
class IdempotencyKey(easel.idempotency.IdempotencyKey):
    """The name of a request for a generation."""

    def of_a_test(self) -> "IdempotencyKey":
        """The same name among those of test keys: what was made for nothing answers no live request."""
        return replace(self, value=f"test:{hashlib.sha256(self.value.encode()).hexdigest()}")

    def claim(self, tenant_id: UUID, generation_id: UUID) -> None:
        """Bind the key to a new generation in the current transaction; raises Replayed if it made one before."""
        if changed(_CLAIM, [new_id(), tenant_id, self.value, self.digest, generation_id]) == 1:
            return
        ((made, digest),) = rows(_MADE, [tenant_id, self.value])
        self.check(digest)
        raise Replayed(made)

    def recall(self, tenant_id: UUID) -> None:
        """Raises Replayed if the key made a generation before. Needs no scope."""
        with tenant_scope(tenant_id):
            found = rows(_MADE, [tenant_id, self.value])
        for made, digest in found:
            self.check(digest)
            raise Replayed(made)


class Replayed(Exception):
    """The key has made this generation before."""

    def __init__(self, generation_id: UUID) -> None:
        super().__init__(str(generation_id))
        self.generation_id = generation_id
