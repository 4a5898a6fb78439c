"""Envelope encryption of stored secrets: the platform's ring seals data keys, a tenant's data key its values.

A sealed value is (lengths in bytes):

    format (1) = 0x01  ‖  algorithm (1)  ‖  nonce (12, random)  ‖  ciphertext (= plaintext)  ‖  tag (16)

Algorithm 0x01 is SM4-GCM (GB/T 32907, RFC 8998), 0x02 AES-256-GCM. The setting EASEL_SEALING picks what new
values get; every value says itself how to open it. The authenticated data are the two header bytes and then
`context`, which names the place a value belongs to (`b"generation.prompt:" + id.bytes`), so that a value
copied into another row or column does not open there.

No key is used directly: each purpose takes its own subkey by HKDF-SHA256 (RFC 5869) without salt and with the
info `easel/v1/<purpose>`. With random nonces one subkey is good for 2^32 values (NIST SP 800-38D); a tenant
stays far below.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
HEADER_BYTES: Final = 2
OVERHEAD_BYTES: Final = HEADER_BYTES + NONCE_BYTES + TAG_BYTES

FORMAT: Final = 1
SM4_GCM: Final = 1
AES_256_GCM: Final = 2
ALGORITHMS: Final = {"sm4-gcm": SM4_GCM, "aes-256-gcm": AES_256_GCM}
LARGEST_KEY_VERSION: Final = 32767  # a key version is kept in a smallint column

DATA_KEY_CONTEXT: Final = b"easel.data_key"


class CryptoError(Exception):
    """What was sealed cannot be opened. Permanent: trying again changes nothing."""


class TamperedSeal(CryptoError):
    """The value was altered, cut, sealed under another key, or belongs to another place."""


class UnknownKeyVersion(CryptoError):
    """The platform key that sealed a data key is not (or no longer) in the ring."""

    def __init__(self, version: int) -> None:
        super().__init__(f"No key with id {version} in the ring. Put it back behind the newer ones.")
        self.version = version


@dataclass(frozen=True)
class DataKey:
    """32 random bytes from which each purpose derives its own key. Its repr never shows them."""

    material: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.material) != KEY_BYTES:
            raise ValueError(f"A data key has {KEY_BYTES} bytes, not {len(self.material)}.")

    def subkey(self, purpose: str, length: int = KEY_BYTES) -> bytes:
        info = f"easel/v1/{purpose}".encode()
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(self.material)

    @cached_property
    def for_sm4(self) -> bytes:
        return self.subkey("seal/sm4-gcm", 16)

    @cached_property
    def for_aes(self) -> bytes:
        return self.subkey("seal/aes-256-gcm", 32)

    @cached_property
    def for_hmac(self) -> bytes:
        return self.subkey("fingerprint/hmac-sha256", 32)


@dataclass(frozen=True)
class KeyRing:
    """Keys by version, newest first: the first seals and signs, all of them open and verify."""

    keys: dict[int, bytes] = field(repr=False)

    @classmethod
    def parse(cls, words: Sequence[str], *, name: str) -> "KeyRing":
        """Read `id:base64(32 bytes)` words. `name` is the variable an error blames; it never shows a key."""
        keys: dict[int, bytes] = {}
        for word in words:
            version, material = _parse_key(word, name=name)
            if version in keys:
                raise ImproperlyConfigured(f"{name} holds two keys with the id {version}.")
            keys[version] = material
        if not keys:
            raise ImproperlyConfigured(f"{name} is not set: give at least one key as id:base64(32 random bytes).")
        return cls(keys)

    @property
    def newest(self) -> tuple[int, bytes]:
        return next(iter(self.keys.items()))

    def key(self, version: int) -> bytes:
        try:
            return self.keys[version]
        except KeyError:
            raise UnknownKeyVersion(version) from None


def seal(plaintext: bytes, *, key: DataKey, context: bytes) -> bytes:
    algorithm = _chosen_algorithm()
    header = bytes((FORMAT, algorithm))
    nonce = os.urandom(NONCE_BYTES)
    return header + nonce + _encrypt(algorithm, key, nonce, plaintext, header + context)


def open_sealed(blob: bytes | memoryview, *, key: DataKey, context: bytes) -> bytes:
    """The plaintext, or TamperedSeal. Takes a memoryview too: that is what Django reads bytes as."""
    blob = bytes(blob)
    if len(blob) < OVERHEAD_BYTES or blob[0] != FORMAT or blob[1] not in {SM4_GCM, AES_256_GCM}:
        raise TamperedSeal("This is not a value sealed by Easel.")
    header, nonce, body = (
        blob[:HEADER_BYTES],
        blob[HEADER_BYTES:][:NONCE_BYTES],
        blob[HEADER_BYTES + NONCE_BYTES :],
    )
    try:
        return _decrypt(header[1], key, nonce, body, header + context)
    except InvalidTag as error:
        raise TamperedSeal("The sealed value does not open: wrong key, wrong place, or altered.") from error


def new_data_key() -> tuple[DataKey, bytes, int]:
    """A fresh data key, then what to store: the same sealed by the newest platform key, and its version."""
    version, platform_key = platform_keys().newest
    key = DataKey(os.urandom(KEY_BYTES))
    sealed = seal(key.material, key=DataKey(platform_key), context=_data_key_context(version))
    return key, sealed, version


def open_data_key(sealed: bytes | memoryview, version: int) -> DataKey:
    """The data key behind what `new_data_key` gave out. The last thousand stay open in memory."""
    return _open_data_key(bytes(sealed), version, platform_keys().key(version))


def fingerprint(key: DataKey, data: bytes) -> bytes:
    """HMAC-SHA256 (32 bytes): equal data of one tenant can be found again, and nobody else can guess it."""
    return hmac.digest(key.for_hmac, data, "sha256")


def platform_keys() -> KeyRing:
    return _ring(tuple(settings.PLATFORM_KEYS), "EASEL_PLATFORM_KEYS")


def token_keys() -> KeyRing:
    """The keys that sign the access tokens of /oauth/token; the version is the token's `kid`."""
    return _ring(tuple(settings.TOKEN_KEYS), "EASEL_TOKEN_KEYS")


@lru_cache(maxsize=8)
def _ring(words: tuple[str, ...], name: str) -> KeyRing:
    return KeyRing.parse(words, name=name)


# The platform key is part of the cache's key: another ring is never answered from what the old one opened.
@lru_cache(maxsize=1024)
def _open_data_key(sealed: bytes, version: int, platform_key: bytes) -> DataKey:
    return DataKey(open_sealed(sealed, key=DataKey(platform_key), context=_data_key_context(version)))


def _data_key_context(version: int) -> bytes:
    return DATA_KEY_CONTEXT + b":%d" % version


def _parse_key(word: str, *, name: str) -> tuple[int, bytes]:
    version, _, encoded = word.partition(":")
    if not (version.isascii() and version.isdigit() and 1 <= int(version) <= LARGEST_KEY_VERSION):
        raise ImproperlyConfigured(f"{name}: a key is id:base64, with an id from 1 to {LARGEST_KEY_VERSION}.")
    try:
        material = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ImproperlyConfigured(f"{name}: the key with the id {version} is not base64.") from None
    if len(material) != KEY_BYTES:
        raise ImproperlyConfigured(f"{name}: the key with the id {version} has {len(material)} bytes, not {KEY_BYTES}.")
    return int(version), material


def _chosen_algorithm() -> int:
    try:
        return ALGORITHMS[settings.SEALING]
    except KeyError:
        raise ImproperlyConfigured(
            f"EASEL_SEALING must be one of {', '.join(ALGORITHMS)}, not {settings.SEALING!r}."
        ) from None


def _cipher(algorithm: int, key: DataKey) -> CipherAlgorithm:
    return algorithms.SM4(key.for_sm4) if algorithm == SM4_GCM else algorithms.AES(key.for_aes)


def _encrypt(algorithm: int, key: DataKey, nonce: bytes, plaintext: bytes, authenticated: bytes) -> bytes:
    encryptor = Cipher(_cipher(algorithm, key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(authenticated)
    return encryptor.update(plaintext) + encryptor.finalize() + encryptor.tag


def _decrypt(algorithm: int, key: DataKey, nonce: bytes, body: bytes, authenticated: bytes) -> bytes:
    ciphertext, tag = body[:-TAG_BYTES], body[-TAG_BYTES:]
    decryptor = Cipher(_cipher(algorithm, key), modes.GCM(nonce, tag)).decryptor()
    decryptor.authenticate_additional_data(authenticated)
    return decryptor.update(ciphertext) + decryptor.finalize()
