"""Words for addresses that name rows and tell nothing of them: ids, encrypted and authenticated (AES-SIV, RFC 5297).

Whoever holds the word may look; nobody can make one, or read a tenant's id out of it. The same ids give the same word,
so that none has to be kept. The key is derived from the secret key of Django's: with that, all words change.
"""

import base64
import binascii
import hmac
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from django.conf import settings

LONGEST: Final = 128


def word_for(kind: str, *ids: UUID) -> str:
    """43 to 64 letters for one or two ids. A word of one kind is none of another."""
    sealed = next(_ciphers(kind)).encrypt(b"".join(each.bytes for each in ids), [kind.encode()])
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def ids_in(kind: str, word: str) -> tuple[UUID, ...] | None:
    """The ids that this word names; None for whatever we did not make."""
    try:
        if len(word) > LONGEST:
            return None
        sealed = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
    except (ValueError, binascii.Error):
        return None
    for cipher in _ciphers(kind):
        try:
            opened = cipher.decrypt(sealed, [kind.encode()])
        except (InvalidTag, ValueError):
            continue
        return tuple(UUID(bytes=opened[start : start + 16]) for start in range(0, len(opened), 16))
    return None


def _ciphers(kind: str) -> Iterator[AESSIV]:
    """Of the secret key, and then of those before it."""
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        yield AESSIV(hmac.digest(str(secret).encode(), b"easel.words:" + kind.encode(), "sha512"))
