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


class RabbitMQ:
    """It knows its guest."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port, self._names = folder, free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}/%2F"
        self._server: subprocess.Popen[bytes] | None = None
        (folder / "plugins").write_text("[].")
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self._port}\n")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"easel{self._port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(folder),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._names),
        }

    def start(self) -> None:
        with (self._folder / "output").open("ab") as output:
            # Between nodes, of which there is one: chosen anew, since anybody may have taken it meanwhile.
            environment = {**self._environment, "RABBITMQ_DIST_PORT": str(free_port())}
            self._server = subprocess.Popen(
                [SERVER], env=environment, stdout=output, stderr=output, start_new_session=True
            )
        self._await(self._server)

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(20)
            self._server = None

    def close(self) -> None:
        try:
            self.stop()
        finally:
            command = ["epmd", "-port", str(self._names), "-kill"]
            subprocess.run(command, env=self._environment, capture_output=True, check=False)

    def _await(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            assert server.poll() is None, "RabbitMQ ended at once"
            try:
                with socket.create_connection(("127.0.0.1", self._port), 1) as connection:
                    connection.sendall(b"AMQP\x00\x00\x09\x01")
                    connection.settimeout(5)
                    if connection.recv(1):
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline, "RabbitMQ does not answer"
            time.sleep(0.3)


@contextmanager
def rabbitmq(folder: Path) -> Iterator[RabbitMQ]:
    """A running server."""
    server = RabbitMQ(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()
