"""A small TCP proxy that misbehaves on request: slow, cut, reset. It understands nothing of what it carries."""

import contextlib
import selectors
import socket
import struct
import threading
import time
from typing import Final

CHUNK: Final = 65_536
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST instead of FIN


class FaultProxy:
    """Listens on a free port of the loopback. One thread for each connection."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._latency = 0.0
        self._cut = False
        self._answer = b""
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()

    # --- Faults ----------------------------------------------------------------------------------------

    def slow(self, seconds: float) -> None:
        """Every chunk takes so much longer, in both directions."""
        self._latency = seconds

    def cut(self) -> None:
        """As if the cable were out: what is open is closed, what is new is closed at once."""
        self._cut = True
        self.reset()

    def reset(self) -> None:
        """All open connections are torn down with RST, in the middle of whatever they carry."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for side in pair:
                _tear(side)

    def answer(self, data: bytes) -> None:
        """Whoever asks gets these bytes instead of the service's."""
        self._answer = data
        self.reset()

    def heal(self) -> None:
        self._latency, self._cut, self._answer = 0.0, False, b""

    # --- Carrying --------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._cut:
                _tear(client)
                continue
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        if self._answer:
            with contextlib.suppress(OSError), client:
                client.settimeout(5)
                client.recv(CHUNK)
                client.sendall(self._answer)
                client.shutdown(socket.SHUT_WR)
                while client.recv(CHUNK):  # a client that is still sending would take a close for a reset
                    pass
            return
        try:
            server = socket.create_connection(self._upstream, timeout=5)
        except OSError:
            _tear(client)
            return
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        try:
            self._pump(client, server)
        except (OSError, ValueError):  # torn down by a fault, or by either side
            pass
        finally:
            with self._lock:
                self._pairs.discard(pair)
            for side in pair:
                with contextlib.suppress(OSError):
                    side.close()

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        for side in other:
            side.settimeout(30)
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with selectors.DefaultSelector() as readable:
            for side in other:
                readable.register(side, selectors.EVENT_READ)
            while not self._cut:
                for key, _ in readable.select(timeout=1.0):
                    source: socket.socket = key.fileobj  # type: ignore[assignment]
                    data = source.recv(CHUNK)
                    if not data:
                        return
                    if self._latency:
                        time.sleep(self._latency)
                    other[source].sendall(data)


def _tear(side: socket.socket) -> None:
    with contextlib.suppress(OSError):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    with contextlib.suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        side.close()
