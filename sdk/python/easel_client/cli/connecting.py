"""The HTTP client as the environment wants it, whose proxies and certificates may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import httpx

from easel_client.errors import TransportError

C = TypeVar("C")


class NoConnection(TransportError):
    """Nothing can even be tried: what the environment says of proxies or certificates cannot be used."""


def connected(make: Callable[[], C]) -> C:
    try:
        return make()
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        said = "What the environment says of proxies or certificates cannot be used"
        raise NoConnection(f"{said}: {error}") from error
