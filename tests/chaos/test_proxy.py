"""The proxy does what the storm relies on: it carries, delays, cuts and resets."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import FaultProxy


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """In front of a server that says everything back."""
    server = socket.create_server(("127.0.0.1", 0))

    def echo(peer: socket.socket) -> None:
        with peer:
            while data := peer.recv(65_536):
                peer.sendall(data)

    def accept() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield FaultProxy(server.getsockname())
    server.close()


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def said_back(line: socket.socket, data: bytes) -> bytes:
    line.sendall(data)
    back = b""
    while len(back) < len(data):
        chunk = line.recv(65_536)
        if not chunk:
            raise ConnectionError("closed")
        back += chunk
    return back


def talk(line: socket.socket) -> None:
    for _ in range(50):
        said_back(line, b"x")


def test_it_carries_everything_both_ways(proxy: FaultProxy) -> None:
    data = bytes(range(256)) * 4096
    with connect(proxy) as line:
        sender = threading.Thread(target=line.sendall, args=(data,))
        sender.start()
        back = b""
        while len(back) < len(data):
            back += line.recv(65_536)
        sender.join()
    assert back == data


def test_a_slow_line_is_slow_until_it_is_healed(proxy: FaultProxy) -> None:
    with connect(proxy) as line:
        proxy.slow(0.2)
        begun = time.monotonic()
        said_back(line, b"x")
        assert time.monotonic() - begun > 0.39  # there and back; a timer may be a tick early
        proxy.heal()
        assert said_back(line, b"y") == b"y"


def test_a_cut_line_ends_what_is_open_and_lets_nothing_new_through(proxy: FaultProxy) -> None:
    with connect(proxy) as line:
        assert said_back(line, b"x") == b"x"
        proxy.cut()
        with pytest.raises(OSError):  # noqa: PT011  closed or reset, as the kernel has it
            talk(line)
    with pytest.raises(OSError), connect(proxy) as line:  # noqa: PT011
        said_back(line, b"x")
    proxy.heal()
    with connect(proxy) as line:
        assert said_back(line, b"x") == b"x"


def test_a_reset_tears_down_what_is_open_and_nothing_else(proxy: FaultProxy) -> None:
    with connect(proxy) as line:
        assert said_back(line, b"x") == b"x"
        proxy.reset()
        with pytest.raises(OSError):  # noqa: PT011
            talk(line)
    with connect(proxy) as line:
        assert said_back(line, b"x") == b"x"
