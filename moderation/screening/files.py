"""Model files are taken only with the digest they were examined with."""

import hashlib
from importlib.util import find_spec
from pathlib import Path


class ModelUnusable(Exception):
    """A model's file is missing or is not the one that was examined."""


def packaged(package: str, name: str) -> Path:
    """A file inside an installed package, without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelUnusable(f"The package {package} is not installed (requirements/screening.txt).")
    return Path(spec.origin).parent / name


def checked(path: Path, *, sha256: str) -> Path:
    """The path, once its content has been compared. An empty `sha256` trusts the operator's own file."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnusable(f"{path} cannot be read: {error.strerror}.") from error
    if sha256 and found != sha256:
        raise ModelUnusable(f"{path} has the SHA-256 {found}, not {sha256}.")
    return path
