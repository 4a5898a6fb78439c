"""Who holds the platform key, which seals the tenants' data keys: the environment, a file, or a KMS.

A platform key has a number (its version). The ring is ordered: the first key seals, every one of them opens. To
rotate it without downtime, a new key is first put behind the others, then in front once every process knows it.
"""

import base64
import os
import stat
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from easel.crypto import (
    LARGEST_KEY_VERSION,
    CryptoError,
    DataKey,
    KeyRing,
    TamperedSeal,
    UnknownKeyVersion,
    open_sealed,
    seal,
)

NOT_NOW: Final = {
    "ThrottlingException",
    "DependencyTimeoutException",
    "KMSInternalException",
    "KeyUnavailableException",
    "RequestTimeout",
    "ServiceUnavailable",
}
NOT_OURS: Final = {"InvalidCiphertextException", "IncorrectKeyException"}


class KeyProviderUnavailable(Exception):
    """The holder of the platform key does not answer. The same call may work later, so this is no CryptoError."""


class KeyProviderRefused(CryptoError):
    """The holder understood and said no: no right, no such key, key disabled. An operator must act."""


class KeyProvider(Protocol):
    """Sealing and opening may raise KeyProviderUnavailable or KeyProviderRefused."""

    def __hash__(self) -> int:
        """One provider is one entry in the memory of opened data keys."""

    @property
    def newest(self) -> int:
        """The version that `seal` uses now."""

    def seal(self, packed: bytes) -> tuple[bytes, int]:
        """A packed data key, sealed, and the version of the key that did it."""

    def open(self, sealed: bytes, version: int) -> bytes:
        """What was sealed. Raises UnknownKeyVersion, TamperedSeal."""


class LocalKeys:
    """Platform keys in this process's memory, from wherever they were read."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    @property
    def newest(self) -> int:
        return self._ring.newest[0]

    def seal(self, packed: bytes) -> tuple[bytes, int]:
        version, material = self._ring.newest
        return seal(packed, key=DataKey(material), context=_context(version)), version

    def open(self, sealed: bytes, version: int) -> bytes:
        return open_sealed(sealed, key=DataKey(self._ring.key(version)), context=_context(version))


class KMSKeys:
    """Keys that never leave a KMS: it seals and opens each data key itself (`kms:Encrypt`, `kms:Decrypt`).

    One call per tenant and process, for opened data keys stay in memory. The encryption context names the purpose and
    the version, so that a ciphertext of somebody else's does not open here, and the KMS's own log says what was opened.
    """

    def __init__(self, keys: dict[int, str], client: Any = None) -> None:
        self._keys = keys
        self._given = client

    @classmethod
    def parse(cls, words: Sequence[str], *, name: str) -> "KMSKeys":
        """Read `version:key id, ARN or alias` words, newest first."""
        keys: dict[int, str] = {}
        for word in words:
            version, _, key = word.partition(":")
            if not (version.isascii() and version.isdigit() and 1 <= int(version) <= LARGEST_KEY_VERSION and key):
                raise ImproperlyConfigured(f"{name}: a key is version:ARN, with a version from 1 to 32767.")
            if int(version) in keys:
                raise ImproperlyConfigured(f"{name} holds two keys with the version {version}.")
            keys[int(version)] = key
        if not keys:
            raise ImproperlyConfigured(f"{name} is not set: give at least one key as version:ARN.")
        return cls(keys)

    @property
    def newest(self) -> int:
        return next(iter(self._keys))

    def seal(self, packed: bytes) -> tuple[bytes, int]:
        version = self.newest
        answer = self._ask("encrypt", version, Plaintext=packed)
        return bytes(answer["CiphertextBlob"]), version

    def open(self, sealed: bytes, version: int) -> bytes:
        if version not in self._keys:
            raise UnknownKeyVersion(version)
        return bytes(self._ask("decrypt", version, CiphertextBlob=sealed)["Plaintext"])

    def _ask(self, verb: str, version: int, **parameters: bytes) -> dict[str, Any]:
        context = {"easel": "data_key", "version": str(version)}
        try:
            answer: dict[str, Any] = getattr(self._client, verb)(
                KeyId=self._keys[version], EncryptionContext=context, **parameters
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in NOT_OURS:
                raise TamperedSeal("The KMS cannot open this data key: altered, or sealed by another key.") from error
            if code in NOT_NOW or status >= 500:
                raise KeyProviderUnavailable(f"The KMS does not {verb} now: {code or status}.") from error
            raise KeyProviderRefused(f"The KMS does not {verb}: {code or status}.") from error
        except BotoCoreError as error:
            raise KeyProviderUnavailable(f"The KMS cannot be reached: {type(error).__name__}.") from error
        return answer

    @cached_property
    def _client(self) -> Any:
        if self._given is not None:
            return self._given
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 3},
            connect_timeout=2,
            read_timeout=5,
            max_pool_connections=16,
        )
        session = boto3.session.Session(region_name=settings.KMS_REGION)
        make: Any = session.client  # its stubs know the services that are installed, and this one is two calls
        return make("kms", endpoint_url=settings.KMS_ENDPOINT or None, config=config)


def chosen() -> KeyProvider:
    """The provider that EASEL_KEY_PROVIDER names. The file is read again whenever it has changed."""
    match settings.KEY_PROVIDER:
        case "environment":
            return _local(tuple(settings.PLATFORM_KEYS), "EASEL_PLATFORM_KEYS")
        case "file":
            return _local(_words(Path(settings.PLATFORM_KEYS_FILE)), "EASEL_PLATFORM_KEYS_FILE")
        case "kms":
            return _kms(tuple(settings.KMS_KEYS))
        case other:
            raise ImproperlyConfigured(f"EASEL_KEY_PROVIDER must be environment, file or kms, not {other!r}.")


def _words(path: Path) -> tuple[str, ...]:
    try:
        found = path.stat()
    except OSError as error:
        raise ImproperlyConfigured(f"EASEL_PLATFORM_KEYS_FILE: {path} cannot be read ({error.strerror}).") from error
    if found.st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ImproperlyConfigured(f"EASEL_PLATFORM_KEYS_FILE: {path} is open to every user. chmod 600 {path}")
    return _read(path, found.st_ino, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, inode: int, changed_at: int, size: int) -> tuple[str, ...]:
    """One word a line; `#` begins a comment. Inode, time and size are there to make a new file another entry."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"EASEL_PLATFORM_KEYS_FILE: {path} cannot be read.") from error
    return tuple(word for word in (line.partition("#")[0].strip() for line in lines) if word)


@lru_cache(maxsize=8)
def _local(words: tuple[str, ...], name: str) -> LocalKeys:
    return LocalKeys(KeyRing.parse(words, name=name))


@lru_cache(maxsize=8)
def _kms(words: tuple[str, ...]) -> KMSKeys:
    return KMSKeys.parse(words, name="EASEL_KMS_KEYS")


def _context(version: int) -> bytes:
    return b"easel.data_key:%d" % version


def new_word(version: int) -> str:
    """A fresh key as the ring's files and variables hold it."""
    return f"{version}:{base64.b64encode(os.urandom(32)).decode()}"
