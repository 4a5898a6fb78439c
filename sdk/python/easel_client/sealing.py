"""Sealed requests and answers: readable by Easel alone, whatever ends TLS on the way (docs/formats.md)."""

from __future__ import annotations

import importlib
import os
from typing import Any

from easel_client.errors import NotSealed

MEDIA_TYPE = "application/vnd.easel.sealed"
VERSIONS = {"sm4-gcm": 1, "aes-256-gcm": 2}
_KEY_ID, _NONCE, _TAG = 28, 12, 16


class Sealer:
    """Seals with one API key. Every call needs a nonce of its own: Easel takes each once."""

    def __init__(self, key_id: str, secret: str, algorithm: str = "sm4-gcm") -> None:
        if algorithm not in VERSIONS:
            raise ValueError(f"sealed is one of {', '.join(VERSIONS)}.")
        try:
            importlib.import_module("cryptography")
        except ImportError as error:
            raise ImportError("Sealed calls need cryptography: pip install 'easel-client[sealed]'") from error
        self._key_id, self._secret, self._algorithm = key_id, secret.encode(), algorithm

    def seal(self, method: str, path: str, body: bytes, *, timestamp: str) -> tuple[bytes, bytes]:
        """The sealed body, and its nonce, which the answer is bound to."""
        from cryptography.hazmat.primitives.ciphers import Cipher, modes

        nonce = os.urandom(_NONCE)
        encryptor = Cipher(self._cipher("request", self._algorithm), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(_lines("easel-sealed-request", method, path, self._key_id, timestamp))
        ciphertext = encryptor.update(body) + encryptor.finalize()
        head = bytes([VERSIONS[self._algorithm]]) + self._key_id.encode() + nonce
        return head + ciphertext + encryptor.tag, nonce

    def open(
        self, sealed: bytes, *, method: str, path: str, timestamp: str, status: int, content_type: str, nonce: bytes
    ) -> bytes:
        """What the answer says. Raises NotSealed where it was altered, or belongs to another request."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers import Cipher, modes

        algorithm = {number: name for name, number in VERSIONS.items()}.get(sealed[0] if sealed else 0)
        if algorithm is None or len(sealed) < 1 + _KEY_ID + _NONCE + _TAG:
            raise NotSealed("The answer is not in the format of sealed answers.")
        start = 1 + _KEY_ID + _NONCE
        own_nonce, ciphertext, tag = sealed[1 + _KEY_ID : start], sealed[start:-_TAG], sealed[-_TAG:]
        decryptor = Cipher(self._cipher("answer", algorithm), modes.GCM(own_nonce, tag)).decryptor()
        words = ("easel-sealed-answer", method, path, self._key_id, timestamp, str(status), content_type, nonce.hex())
        decryptor.authenticate_additional_data(_lines(*words))
        try:
            return decryptor.update(ciphertext) + decryptor.finalize()
        except InvalidTag as error:
            raise NotSealed("The sealed answer was altered, or belongs to another request or key.") from error

    def _cipher(self, direction: str, algorithm: str) -> Any:
        from cryptography.hazmat.primitives.ciphers import algorithms
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        length = 16 if algorithm == "sm4-gcm" else 32
        info = f"easel/sealed/v1/{direction}/{algorithm}".encode()
        key = HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(self._secret)
        return algorithms.SM4(key) if algorithm == "sm4-gcm" else algorithms.AES(key)


def _lines(*words: str) -> bytes:
    return "\n".join(words).encode()
