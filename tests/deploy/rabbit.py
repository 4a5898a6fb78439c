"""A RabbitMQ of one's own: the system's package, in a temporary folder, on free ports of the loopback."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # /usr/sbin's wrapper would want a user named rabbitmq
READY_SECONDS = 90


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """The address of a running server that knows its guest."""
    port, names = free_port(), free_port()
    (folder / "plugins").write_text("[].")
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "RABBITMQ_NODENAME": f"easel{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
    }
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen([SERVER], env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        _await(port, server)
        yield f"amqp://guest:guest@127.0.0.1:{port}/%2F"
    finally:
        server.terminate()
        try:
            server.wait(20)
        finally:
            subprocess.run(["epmd", "-port", str(names), "-kill"], env=environment, capture_output=True, check=False)


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        assert server.poll() is None, "RabbitMQ ended at once"
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                connection.settimeout(5)
                if connection.recv(1):
                    return
        except OSError:
            pass
        assert time.monotonic() < deadline, "RabbitMQ does not answer"
        time.sleep(0.3)
