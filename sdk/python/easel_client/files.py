"""Pictures on disk."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import BinaryIO


def write_whole(path: str | os.PathLike[str], content: bytes) -> Path:
    """A file that is there in full or not at all, whatever happens meanwhile. Its folder is made if need be."""
    target = Path(path)
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
    new, file = _begun(Path(path))
    file.close()
    new.unlink()


def _begun(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside the target, with the rights that any new file has here."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    return new, new.open("xb")
