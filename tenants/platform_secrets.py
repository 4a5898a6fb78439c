"""Private keys of the platform itself: made when first asked for, kept sealed, readable by the platform role only.

A row holds a data key sealed by the platform key, with its length in two bytes before it, and then the secret sealed
by that data key. So a new platform key means sealing 32 bytes anew, as with a tenant, also where a KMS does it.
"""

import os
from collections.abc import Callable

from easel.crypto import KEY_BYTES, DataKey, TamperedSeal, open_data_key, open_sealed, seal, seal_data_key
from easel.database import changed, platform_role, rows
from easel.identifiers import new_id
from easel.key_providers import KeyProvider


def platform_secret(name: str, make: Callable[[], bytes]) -> bytes:
    """The secret of that name; `make` gives it its value if there is none. The first writer wins."""
    with platform_role():
        found = rows("SELECT sealed, key_version FROM tenants_platformsecret WHERE name = %s", [name])
        if not found:
            sealed, version = _close(make(), name)
            changed(
                "INSERT INTO tenants_platformsecret (id, name, sealed, key_version) VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (name) DO NOTHING",
                [new_id(), name, sealed, version],
            )
            found = rows("SELECT sealed, key_version FROM tenants_platformsecret WHERE name = %s", [name])
    return _open(bytes(found[0][0]), found[0][1], name)


def replace_platform_secret(name: str, value: bytes) -> None:
    """Put a value in the place of the one before, if any."""
    sealed, version = _close(value, name)
    with platform_role():
        changed(
            "INSERT INTO tenants_platformsecret (id, name, sealed, key_version) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, key_version = excluded.key_version",
            [new_id(), name, sealed, version],
        )


def sealed_anew(sealed: bytes, version: int, *, holder: KeyProvider | None = None) -> tuple[bytes, int]:
    """The same row's content under the newest platform key; `holder` is who opens it, if not the settings' provider."""
    wrapped, body = _parts(sealed)
    again, newest = seal_data_key(open_data_key(wrapped, version, holder=holder))
    return len(again).to_bytes(2, "big") + again + body, newest


def _close(value: bytes, name: str) -> tuple[bytes, int]:
    key = DataKey(os.urandom(KEY_BYTES))
    wrapped, version = seal_data_key(key)
    return len(wrapped).to_bytes(2, "big") + wrapped + seal(value, key=key, context=_context(name)), version


def _open(sealed: bytes, version: int, name: str) -> bytes:
    wrapped, body = _parts(sealed)
    return open_sealed(body, key=open_data_key(wrapped, version), context=_context(name))


def _parts(sealed: bytes) -> tuple[bytes, bytes]:
    end = 2 + int.from_bytes(sealed[:2], "big")
    if len(sealed) <= end:
        raise TamperedSeal("This is no secret of the platform.")
    return sealed[2:end], sealed[end:]


def _context(name: str) -> bytes:
    return b"platform_secret:" + name.encode()
