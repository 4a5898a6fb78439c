"""The bytes of a sealed request and of its answer (docs/formats.md): sealed by the API secret above TLS, so that what
ends TLS on the way, a proxy or a logging gateway, sees neither.

    version (1)  ‖  key id (28, ASCII)  ‖  nonce (12)  ‖  ciphertext  ‖  tag (16)

Version 0x01 is SM4-GCM, 0x02 AES-256-GCM. Each direction has a key of its own, HKDF-SHA256 of the API secret. The
authenticated data name direction, method, path with its query, key id and timestamp; an answer's also its status, its
content type, and the nonce of the request it answers.
"""

import os
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from easel.crypto import AES_256_GCM, NONCE_BYTES, SM4_GCM, TAG_BYTES, TamperedSeal

MEDIA_TYPE: Final = "application/vnd.easel.sealed"
KEY_ID_BYTES: Final = 28
OVERHEAD_BYTES: Final = 1 + KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES
_NAMES: Final = {SM4_GCM: "sm4-gcm", AES_256_GCM: "aes-256-gcm"}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed body, taken apart."""

    version: int
    key_id: str
    nonce: bytes
    body: bytes = field(repr=False)  # ciphertext and tag

    @classmethod
    def read(cls, sealed: bytes) -> "Envelope":
        if len(sealed) < OVERHEAD_BYTES or sealed[0] not in _NAMES:
            raise TamperedSeal("This is not a sealed body of version 1 or 2.")
        key_id, rest = sealed[1 : 1 + KEY_ID_BYTES], sealed[1 + KEY_ID_BYTES :]
        if not key_id.isascii():
            raise TamperedSeal("The key id is not ASCII.")
        return cls(sealed[0], key_id.decode(), rest[:NONCE_BYTES], rest[NONCE_BYTES:])

    @property
    def packed(self) -> bytes:
        return bytes((self.version,)) + self.key_id.encode() + self.nonce + self.body

    def open(self, secret: bytes, authenticated: bytes, *, direction: str) -> bytes:
        """The plaintext, or TamperedSeal."""
        cipher = _cipher(secret, self.version, direction)
        decryptor = Cipher(cipher, modes.GCM(self.nonce, self.body[-TAG_BYTES:])).decryptor()
        decryptor.authenticate_additional_data(authenticated)
        try:
            return decryptor.update(self.body[:-TAG_BYTES]) + decryptor.finalize()
        except InvalidTag as error:
            raise TamperedSeal("The sealed body does not open: altered, or sealed for another call.") from error


def seal(
    plaintext: bytes, secret: bytes, authenticated: bytes, *, direction: str, version: int, key_id: str
) -> Envelope:
    nonce = os.urandom(NONCE_BYTES)
    encryptor = Cipher(_cipher(secret, version, direction), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(authenticated)
    return Envelope(version, key_id, nonce, encryptor.update(plaintext) + encryptor.finalize() + encryptor.tag)


def request_data(*, method: str, path: str, key_id: str, timestamp: str) -> bytes:
    return "\n".join(["easel-sealed-request", method, path, key_id, timestamp]).encode()


def answer_data(
    *, method: str, path: str, key_id: str, timestamp: str, status: int, content_type: str, request_nonce: bytes
) -> bytes:
    words = ["easel-sealed-answer", method, path, key_id, timestamp, str(status), content_type, request_nonce.hex()]
    return "\n".join(words).encode()


def _cipher(secret: bytes, version: int, direction: str) -> algorithms.SM4 | algorithms.AES:
    info = f"easel/sealed/v1/{direction}/{_NAMES[version]}".encode()
    length = 16 if version == SM4_GCM else 32
    key = HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
    return algorithms.SM4(key) if version == SM4_GCM else algorithms.AES(key)
