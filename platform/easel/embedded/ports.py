"""Ports on the loopback for the internal services: chosen free, remembered, chosen anew when taken."""

import errno
import json
import random
import socket
from collections.abc import Set
from pathlib import Path

from easel.embedded.credentials import write_private
from easel.embedded.trouble import Trouble

# Below the range the kernel hands out for outgoing connections, also after SeaweedFS adds 10000 for gRPC.
CANDIDATES = range(12_000, 22_000)
GRPC_OFFSET = 10_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    try:
        _bind(port, host)
    except OSError:
        return False
    return True


def _bind(port: int, host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def require_free(port: int, host: str) -> None:
    """For the ports that people type: they are not moved silently."""
    try:
        _bind(port, host)
    except PermissionError as error:
        raise Trouble(f"Port {port} needs root.", "Choose one from 1024: PORT=8000 make up") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Trouble(f"Port {port} is taken by another program.", "Choose another: PORT=9000 make up") from error
        raise Trouble(f"This machine has no address {host}.", "Choose another: BIND=0.0.0.0 make up") from error


class Ports:
    """Name → port, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}

    def __getitem__(self, name: str) -> int:
        return self._ports[name]

    def choose(self, *names: str, apart_from: Set[int] = frozenset()) -> None:
        """Makes sure that each name has a port that is free now, with its gRPC port, and is not one of those given."""
        for name in names:
            if name not in self._ports or not self._usable(self._ports[name], apart_from):
                self._ports[name] = self._pick(apart_from)
        write_private(self._path, json.dumps(self._ports, indent=2) + "\n")

    def _pick(self, apart_from: Set[int]) -> int:
        taken = set(self._ports.values())
        for port in random.sample(CANDIDATES, k=500):
            if port not in taken and self._usable(port, apart_from):
                return port
        raise Trouble(
            "No free port between 12000 and 22000 on 127.0.0.1.",
            "Stop some of the programs that listen there.",
        )

    def _usable(self, port: int, apart_from: Set[int]) -> bool:
        pair = {port, port + GRPC_OFFSET}
        return not pair & apart_from and all(map(is_free, pair))
