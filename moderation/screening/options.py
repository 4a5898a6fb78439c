"""What the screening process is told by its environment (docs/configuration.md)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SHORTEST_SECRET = 16


class BadOptions(Exception):
    """The environment does not say what the process needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    host: str
    port: int
    secret: str
    threads: int
    text_model: Path | None
    image_model: Path | None
    image_scorer: str

    @classmethod
    def of_environment(cls) -> Self:
        secret = os.environ.get("EASEL_SCREENING_SECRET", "")
        if len(secret) < SHORTEST_SECRET:
            raise BadOptions(f"EASEL_SCREENING_SECRET must have {SHORTEST_SECRET} characters at least.")
        host, _, port = (os.environ.get("EASEL_SCREENING_LISTEN") or "127.0.0.1:8090").rpartition(":")
        if not port.isdecimal() or not host:
            raise BadOptions("EASEL_SCREENING_LISTEN is address:port.")
        threads = os.environ.get("EASEL_SCREENING_THREADS") or "1"
        if not threads.isdecimal() or int(threads) < 1:
            raise BadOptions("EASEL_SCREENING_THREADS must be a whole number of at least 1.")
        return cls(
            host=host,
            port=int(port),
            secret=secret,
            threads=int(threads),
            text_model=_path("EASEL_SCREENING_TEXT_MODEL"),
            image_model=_path("EASEL_SCREENING_IMAGE_MODEL"),
            image_scorer=os.environ.get("EASEL_SCREENING_IMAGE_SCORER", ""),
        )


def _path(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None
