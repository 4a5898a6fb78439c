"""An ASGI application on a real port, served in a thread by the server and the protocol classes of production."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import uvicorn

from easel.asgi import Application


@contextmanager
def served(application: Application) -> Iterator[int]:
    """The port it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            application,
            loop="uvloop",
            http="httptools",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            eventually(lambda: server.started)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()


def connect(port: int) -> HTTPConnection:
    return HTTPConnection("127.0.0.1", port, timeout=30)


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    """Fails when the condition has not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
