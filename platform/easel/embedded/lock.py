"""One Easel per folder: a lock that the kernel takes back when its holder dies, however it dies."""

import fcntl
import os
import time
from pathlib import Path

from easel.embedded.processes import Identity
from easel.embedded.trouble import Trouble


class Lock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a+")

    def acquire(self) -> None:
        if not self._taken():
            where = self._path.parents[1]
            raise Trouble(f"Easel is running already in {where}.", "To stop it: make down")
        self._file.truncate(0)
        self._file.write(f"{Identity.of(os.getpid())}\n")
        self._file.flush()

    def _taken(self) -> bool:
        """Tries for a moment: somebody who only looks (`is_free`) holds it for an instant, too."""
        for _ in range(5):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
            else:
                return True
        return False

    def release(self) -> None:
        self._file.truncate(0)
        self._file.close()

    @classmethod
    def is_free(cls, path: Path) -> bool:
        if not path.exists():
            return True
        with path.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    @classmethod
    def holder(cls, path: Path) -> Identity:
        """Who holds it. Only for a lock that is not free; its holder writes its name a moment after it has it."""
        for _ in range(20):
            if identity := Identity.parse(path.read_text()):
                return identity
            time.sleep(0.05)
        raise Trouble(f"{path} is locked by a process that did not sign it.", "Find it with: fuser " + str(path))
