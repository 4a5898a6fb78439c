"""What the suite does more quickly than a process that serves, with the same answers. Each test client is a server of
its own to Django: it loads the middleware anew.
"""

from typing import ClassVar

from django.contrib.auth.hashers import Argon2PasswordHasher
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile


class StaticFilesOnce(WhiteNoiseMiddleware):
    """Looks at the folders of static files once a run."""

    known: ClassVar[dict[str, StaticFile]] = {}

    def add_files(self, root: str, prefix: str | None = None) -> None:
        if not self.known:
            super().add_files(root, prefix)

    def add_files_from_finders(self) -> None:
        if not self.known:
            super().add_files_from_finders()
            self.known.update(self.files)
        self.files = self.known


class CheapArgon2(Argon2PasswordHasher):
    """The same algorithm, at its least cost."""

    time_cost = 1
    memory_cost = 8  # KiB
    parallelism = 1
