"""Pictures on disk."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import BinaryIO


def write_whole(path: str | os.PathLike[str], content: bytes) -> Path:
    """A file that is there in full or not at all, whatever happens meanwhile. Its folder is made if need be."""
    target = Path(path)
    if is_device(target):
        target.write_bytes(content)
        return target
    new, file = _begun(target)
    try:
        with file:
            file.write(content)
        os.replace(new, target)
    except BaseException:
        new.unlink()
        raise
    return target


def check(path: str | os.PathLike[str]) -> None:
    """That a file can be written there. Raises OSError, or ValueError where that is no file's name."""
    if is_device(Path(path)):
        if not os.access(path, os.W_OK):
            raise PermissionError(f"{path} cannot be written to.")
        return
    new, file = _begun(Path(path))
    file.close()
    new.unlink()


def is_device(path: Path) -> bool:
    """A pipe, a terminal, /dev/null, or /dev/stdout wherever it leads: such is written to, not replaced by a file."""
    named = path.absolute().parent in {Path("/dev"), Path("/dev/fd")}
    return path.exists() and not path.is_dir() and (named or not path.is_file())


def _begun(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside the target, with the rights that any new file has here."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    return new, new.open("xb")
