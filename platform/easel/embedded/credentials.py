"""Every secret of an embedded installation, generated once and kept in a file that only its owner can read."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from easel.embedded.trouble import Trouble
from easel.roles import RolePasswords


def _password() -> str:
    return secrets.token_urlsafe(24)


def _ring() -> str:
    """A key ring of one key, in the form of EASEL_PLATFORM_KEYS: `id:base64(32 bytes)`."""
    return f"1:{base64.b64encode(secrets.token_bytes(32)).decode()}"


ADDED_LATER = ("screening",)  # what the file of an older Easel lacks; nothing is sealed with it


@dataclass(frozen=True)
class Credentials:
    postgres: str
    owner: str
    app: str
    platform: str
    backup: str
    broker: str
    cache: str
    s3_access_key: str
    s3_secret_key: str
    s3_write_key: str  # SeaweedFS's own tokens between its parts: volumes and filer, write and read
    s3_read_key: str
    s3_filer_write_key: str
    s3_filer_read_key: str
    secret_key: str
    platform_keys: str
    token_keys: str
    screening: str

    @property
    def roles(self) -> RolePasswords:
        return RolePasswords(owner=self.owner, app=self.app, platform=self.platform, backup=self.backup)

    @classmethod
    def generate(cls) -> "Credentials":
        return cls(
            postgres=_password(),
            owner=_password(),
            app=_password(),
            platform=_password(),
            backup=_password(),
            broker=_password(),
            cache=_password(),
            s3_access_key=secrets.token_hex(10),
            s3_secret_key=secrets.token_hex(20),
            s3_write_key=_password(),
            s3_read_key=_password(),
            s3_filer_write_key=_password(),
            s3_filer_read_key=_password(),
            secret_key=secrets.token_urlsafe(50),
            platform_keys=_ring(),
            token_keys=_ring(),
            screening=_password(),
        )

    @classmethod
    def of(cls, path: Path) -> "Credentials":
        """Those in the file, which is made on the first call, and completed where an older Easel wrote it. What a newer
        one has put there is left to it."""
        if not path.exists():
            credentials = cls.generate()
            write_private(path, json.dumps(asdict(credentials), indent=2) + "\n")
            return credentials
        try:
            found = json.loads(path.read_text())
            later = {name: _password() for name in ADDED_LATER if name not in found}
            if later:
                write_private(path, json.dumps(found | later, indent=2) + "\n")
            ours = {field.name for field in fields(cls)}
            return cls(**{name: value for name, value in (found | later).items() if name in ours})
        except (ValueError, TypeError) as error:
            raise Trouble(
                f"{path} is damaged, and with it the keys to the data.",
                "Restore it from a backup, or start anew: make reset",
            ) from error


def write_private(path: Path, text: str) -> None:
    """Writes a file that was never readable for others and is never half-written."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
