"""One Easel per folder: a lock that the kernel takes back when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path

from easel.embedded.processes import Identity
from easel.embedded.trouble import Trouble


class Lock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a+")

    def acquire(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Trouble(
                f"Easel is running already in {self._path.parents[1]}.", "To stop it: make down"
            ) from error
        self._file.truncate(0)
        self._file.write(f"{Identity.of(os.getpid())}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.truncate(0)
        self._file.close()

    @classmethod
    def holder(cls, path: Path) -> Identity | None:
        """Who holds it now."""
        if not path.exists():
            return None
        with path.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Identity.parse(file.read())
        return None
