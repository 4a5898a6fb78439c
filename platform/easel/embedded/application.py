"""What Easel's own processes have in common: our Python, the project's folder, everything told by the environment."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from easel.embedded.service import Service
from easel.embedded.var import ROOT

INFRASTRUCTURE = ("postgres", "broker", "cache", "s3")


class Application(Service):
    needs: tuple[str, ...] = INFRASTRUCTURE

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    @property
    def folder(self) -> Path:
        return ROOT

    def environment(self) -> Mapping[str, str]:
        return self._environment

    def python(self, *words: str) -> list[str]:
        return [sys.executable, *words]


def inherited() -> dict[str, str]:
    """The person's own environment (proxies, model caches, EASEL_ knobs), without any Easel address or password."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_DATABASE_URL")}


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urlopen(Request(url, headers={"User-Agent": "easel-probe"}), timeout=2) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
