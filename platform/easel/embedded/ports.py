"""Ports on the loopback for the internal services: chosen free, remembered, chosen anew when taken."""

import json
import random
import socket
from pathlib import Path

from easel.embedded.credentials import write_private
from easel.embedded.trouble import Trouble

# Below the range the kernel hands out for outgoing connections, also after SeaweedFS adds 10000 for gRPC.
CANDIDATES = range(12_000, 22_000)
GRPC_OFFSET = 10_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def require_free(port: int, host: str, *, variable_value: int) -> None:
    """The ports that people type are not moved silently."""
    if not is_free(port, host):
        raise Trouble(
            f"Port {port} is taken by another program.",
            f"Choose another one: PORT={variable_value + 100} make up",
        )


class Ports:
    """Name → port, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}

    def __getitem__(self, name: str) -> int:
        return self._ports[name]

    def choose(self, *names: str) -> None:
        """Makes sure that each name has a port that is free now, with its gRPC port."""
        for name in names:
            if name not in self._ports or not self._usable(self._ports[name]):
                self._ports[name] = self._pick()
        write_private(self._path, json.dumps(self._ports, indent=2) + "\n")

    def _pick(self) -> int:
        taken = set(self._ports.values())
        for port in random.sample(CANDIDATES, k=500):  # noqa: S311 (not a secret)
            if port not in taken and self._usable(port):
                return port
        raise Trouble(
            "No free port between 12000 and 22000 on 127.0.0.1.",
            "Stop some of the programs that listen there.",
        )

    def _usable(self, port: int) -> bool:
        return is_free(port) and is_free(port + GRPC_OFFSET)
