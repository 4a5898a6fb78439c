"""What a backup says of itself: which files, and how its own key is sealed. It authenticates itself with that key."""

import base64
import hmac
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from easel.crypto import DataKey, TamperedSeal, open_data_key
from easel.key_providers import KeyProvider

NAME: Final = "manifest.json"
FORMAT: Final = "easel-backup/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    made_at: str
    easel: str
    platform_key_version: int
    key: str  # base64: the backup's own data key, sealed by the platform key of that version
    tenants: int
    functions: list[str]  # those that the platform's role owns; a dump's own way to say so needs a superuser
    objects: int
    files: dict[str, dict[str, Any]] = field(default_factory=dict)  # name → size, sha256
    format: str = FORMAT

    def write(self, folder: Path, key: DataKey) -> None:
        document = asdict(self)
        (folder / NAME).write_text(json.dumps({**document, "mac": _mac(document, key)}, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path, holder: KeyProvider | None) -> "tuple[Manifest, DataKey]":
        """The manifest and the backup's key. Raises UnknownKeyVersion or TamperedSeal without the platform key."""
        try:
            document = json.loads((folder / NAME).read_text())
            mac = document.pop("mac")
            manifest = cls(**document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TamperedSeal(f"{folder / NAME} is not a backup's manifest.") from error
        key = open_data_key(base64.b64decode(manifest.key), manifest.platform_key_version, holder=holder)
        if manifest.format != FORMAT or not hmac.compare_digest(mac, _mac(document, key)):
            raise TamperedSeal(f"{folder / NAME} was altered.")
        return manifest, key


def _mac(document: dict[str, Any], key: DataKey) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return hmac.digest(key.subkey("backup/manifest"), canonical, "sha256").hex()
