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

Who holds the platform key, and how it seals data keys, is `easel.key_providers`' affair.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from easel.key_providers import KeyProvider

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


class CryptoError(Exception):
    """What was sealed cannot be opened. Permanent: trying again changes nothing."""


class TamperedSeal(CryptoError):
    """The value was altered, cut, sealed under another key, or belongs to another place."""


class KeyDestroyed(CryptoError):
    """The data key was destroyed when its tenant was erased. What it sealed is gone."""


class UnknownKeyVersion(CryptoError):
    """The platform key that sealed a data key is not (or no longer) in the ring."""

    def __init__(self, version: int) -> None:
        super().__init__(f"No key with id {version} in the ring. Put it back behind the newer ones.")
        self.version = version


@dataclass(frozen=True)
class DataKey:
    """32 random bytes from which each purpose derives its own key. Its repr never shows them.

    While a tenant's key is being rotated it has two: `material` seals, and `others` open as well. Fingerprints must
    stay comparable over a rotation, so `finder` (their root) is carried along.
    """

    material: bytes = field(repr=False)
    others: tuple[bytes, ...] = field(default=(), repr=False)
    finder: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        for material in (self.material, *self.others):
            if len(material) != KEY_BYTES:
                raise ValueError(f"A data key has {KEY_BYTES} bytes, not {len(material)}.")

    @classmethod
    def unpack(cls, packed: bytes) -> "DataKey":
        """What `packed` gave: one key alone, or the finder and then every key, 32 bytes each."""
        if len(packed) == KEY_BYTES:
            return cls(packed)
        if len(packed) < 2 * KEY_BYTES or len(packed) % KEY_BYTES:
            raise TamperedSeal("This is no data key.")
        finder, material, *others = (packed[at : at + KEY_BYTES] for at in range(0, len(packed), KEY_BYTES))
        return cls(material, tuple(others), finder)

    @property
    def packed(self) -> bytes:
        if not self.others and not self.finder:
            return self.material
        return b"".join([self.for_hmac, self.material, *self.others])

    @cached_property
    def each(self) -> "tuple[DataKey, ...]":
        """Every key by itself, the one that seals first."""
        return (self, *(DataKey(other) for other in self.others))

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
        return self.finder or self.subkey("fingerprint/hmac-sha256", 32)


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
    algorithm = chosen_algorithm()
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
    for each in key.each:
        try:
            return _decrypt(header[1], each, nonce, body, header + context)
        except InvalidTag:
            continue
    raise TamperedSeal("The sealed value does not open: wrong key, wrong place, or altered.")


def sealed_by_newest(blob: bytes | memoryview, *, key: DataKey, context: bytes) -> bool:
    """Whether it is the key that seals now which opens it. Raises TamperedSeal when none does."""
    open_sealed(blob, key=key, context=context)
    try:
        open_sealed(blob, key=DataKey(key.material), context=context)
    except TamperedSeal:
        return False
    return True


def new_data_key() -> tuple[DataKey, bytes, int]:
    """A fresh data key, then what to store: the same sealed by the newest platform key, and its version."""
    key = DataKey(os.urandom(KEY_BYTES))
    return key, *seal_data_key(key)


def seal_data_key(key: DataKey) -> tuple[bytes, int]:
    """What to store of a data key, and the version of the platform key that sealed it."""
    return provider().seal(key.packed)


def open_data_key(sealed: bytes | memoryview, version: int, *, holder: "KeyProvider | None" = None) -> DataKey:
    """The data key behind what `seal_data_key` gave out. The last thousand stay open in memory. `holder` stands in for
    the provider that the settings name: a backup may come from a place with another platform key."""
    if not sealed:
        raise KeyDestroyed("This tenant was erased, and its data key with it.")
    return _open_data_key(holder or provider(), bytes(sealed), version)


def fingerprint(key: DataKey, data: bytes) -> bytes:
    """HMAC-SHA256 (32 bytes): equal data of one tenant can be found again, and nobody else can guess it."""
    return hmac.digest(key.for_hmac, data, "sha256")


def provider() -> "KeyProvider":
    """Who holds the platform key, as the settings say."""
    from easel.key_providers import chosen  # it seals with the functions of this module

    return chosen()


def token_keys() -> KeyRing:
    """The keys that sign the access tokens of /oauth/token; the version is the token's `kid`."""
    return _ring(tuple(settings.TOKEN_KEYS), "EASEL_TOKEN_KEYS")


@lru_cache(maxsize=8)
def _ring(words: tuple[str, ...], name: str) -> KeyRing:
    return KeyRing.parse(words, name=name)


# The provider is part of the cache's key: another ring is never answered from what the old one opened.
@lru_cache(maxsize=1024)
def _open_data_key(holder: "KeyProvider", sealed: bytes, version: int) -> DataKey:
    return DataKey.unpack(holder.open(sealed, version))


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


def chosen_algorithm() -> int:
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
