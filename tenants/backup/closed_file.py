"""A file of a backup: how it is opened, sealed under somebody's data key, and then the file itself, in chunks.

length (2, big-endian) ‖ sealed (content key and header of the file) ‖ the sealed file (docs/formats.md)
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from easel.crypto import DataKey, TamperedSeal, open_sealed, seal
from easel.sealed_file import SealedFile

PIECE_BYTES: Final = 256 * 1024


def write(file: Path, pieces: Iterable[bytes], *, key: DataKey, name: str) -> tuple[int, str]:
    """Whole or not at all; its folder is there. Returns the size in bytes and the SHA-256 of what was written."""
    used = SealedFile.new()
    opener = seal(used.packed, key=key, context=_context(name))
    digest, size = hashlib.sha256(), 0
    new = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        for piece in (len(opener).to_bytes(2, "big"), opener):
            out.write(piece)
            digest.update(piece)
            size += len(piece)
        for piece in used.seal_stream(pieces):
            out.write(piece)
            digest.update(piece)
            size += len(piece)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)
    return size, digest.hexdigest()


def read(file: Path, *, key: DataKey, name: str) -> Iterator[bytes]:
    """The content, verified piece by piece. Raises TamperedSeal."""
    with file.open("rb") as closed:
        opener = closed.read(int.from_bytes(closed.read(2), "big"))
        used = SealedFile.unpack(open_sealed(opener, key=key, context=_context(name)))
        yield from used.open_stream(iter(lambda: closed.read(PIECE_BYTES), b""))


def check(file: Path, *, size: int, sha256: str) -> None:
    """Raises TamperedSeal where the file is not the one that the manifest knows."""
    digest = hashlib.sha256()
    with file.open("rb") as closed:
        while piece := closed.read(PIECE_BYTES):
            digest.update(piece)
    if file.stat().st_size != size or digest.hexdigest() != sha256:
        raise TamperedSeal(f"{file} is not the file that was backed up.")


def _context(name: str) -> bytes:
    return b"backup:" + name.encode()
