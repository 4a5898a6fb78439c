"""`Idempotency-Key`: a name that a client gives a request, so that sending it again makes nothing new."""

import json
from dataclasses import dataclass
from typing import Any, Final, Self

from easel.crypto import DataKey, fingerprint
from easel.problems import Problem

LONGEST_KEY: Final = 255


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key with the digest of what it was sent with."""

    value: str
    digest: bytes

    @classmethod
    def read(cls, header: str | None, *, method: str, path: str, body: Any, key: DataKey) -> Self | None:
        """The request's key, None without one. Equal JSON has an equal digest, whatever its spelling."""
        if header is None:
            return None
        if not 1 <= len(header) <= LONGEST_KEY or not header.isascii() or not header.isprintable():
            raise Problem("invalid_request", f"Idempotency-Key takes 1 to {LONGEST_KEY} printable ASCII characters.")
        canonical = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"))
        return cls(header, fingerprint(key, b"idempotency:" + canonical.encode()))

    def check(self, digest: bytes) -> None:
        """Raises idempotency_conflict where the key was used with something else."""
        if bytes(digest) != self.digest:
            raise Problem("idempotency_conflict", "This Idempotency-Key was used for a different request.")
