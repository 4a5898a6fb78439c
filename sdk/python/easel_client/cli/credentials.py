"""Where the command has its key from: the environment, or a file that only its owner can read."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path

from easel_client.configuration import KEY, SECRET, URL
from easel_client.errors import EaselError

FOLDER = "EASEL_CONFIG_DIR"


class NoCredentials(EaselError):
    """Nobody has signed in here."""


class UnreadableCredentials(EaselError):
    """The file is damaged, or others may read it."""


@dataclass(frozen=True)
class Credentials:
    base_url: str
    api_key: str
    api_secret: str = field(repr=False)
    source: str = ""


def path() -> Path:
    folder = os.environ.get(FOLDER) or os.path.join(
        os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "easel"
    )
    return Path(folder) / "credentials.json"


def load() -> Credentials:
    """Each value from the environment, or else from the file. Raises NoCredentials, UnreadableCredentials."""
    given = {name: os.environ.get(name, "").strip() for name in (URL, KEY, SECRET)}
    if all(given.values()):
        return Credentials(given[URL], given[KEY], given[SECRET], "the environment")
    kept = _read(path())
    return Credentials(
        given[URL] or kept["base_url"], given[KEY] or kept["api_key"], given[SECRET] or kept["api_secret"],
        str(path()),
    )  # fmt: skip


def save(credentials: Credentials) -> Path:
    """The file is never readable for others, not even while it is written."""
    target = path()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = target.with_name(f".{target.name}.{os.getpid()}")
    kept = {name: value for name, value in asdict(credentials).items() if name != "source"}
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(kept, indent=2) + "\n")
    os.replace(new, target)
    return target


def forget() -> bool:
    with contextlib.suppress(FileNotFoundError):
        path().unlink()
        return True
    return False


def demo(given: str = "") -> Credentials:
    """Those of the demo tenant of a `make up`: `var/demo.json` here, in a folder above, or where EASEL_VAR says."""
    for place in _places(given):
        if place.is_file():
            return Credentials(**{name: _read(place, private=False)[name] for name in _FIELDS}, source=str(place))
    raise NoCredentials(
        "There is no var/demo.json here or in a folder above. Start Easel (make up), or name the file: "
        "easel login --demo-file path/to/demo.json"
    )


_FIELDS = ("base_url", "api_key", "api_secret")


def _places(given: str) -> list[Path]:
    if given:
        return [Path(given)]
    var = os.environ.get("EASEL_VAR")
    here = Path.cwd()
    return [
        *([Path(var) / "demo.json"] if var else []),
        *(each / "var" / "demo.json" for each in (here, *here.parents)),
    ]


def _read(file: Path, *, private: bool = True) -> dict[str, str]:
    try:
        mode, content = file.stat().st_mode, file.read_bytes()
    except FileNotFoundError as error:
        raise NoCredentials(f"Nobody has signed in: {file} does not exist. Run: easel login") from error
    except OSError as error:
        raise UnreadableCredentials(f"{file} cannot be read: {error.strerror}.") from error
    if private and os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise UnreadableCredentials(f"Others can read {file}. Run: chmod 600 {file}")
    try:
        found = json.loads(content)
        return {name: str(found[name]) for name in _FIELDS}
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableCredentials(f"{file} is damaged. Run: easel login") from error
