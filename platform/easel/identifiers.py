"""Primary keys. UUIDv7 (RFC 9562) sorts by creation time, so indexes stay dense and newest-first needs no column."""

import uuid

import uuid6


def new_id() -> uuid.UUID:
    return uuid.UUID(int=uuid6.uuid7().int)
