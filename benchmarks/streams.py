"""A thousand open event streams on one web process: what they weigh, and what the API feels of them."""

import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.customer import Customer
from benchmarks.table import Table, milliseconds
from easel.embedded.stack import Stack
from easel.embedded.var import ROOT

STREAMS, WAITERS, READS, ROUNDS = 1_000, 200, 400, 9


def measure(stack: Stack) -> Table:
    from tests import tiny

    folder = tiny.build(Path(tempfile.mkdtemp(prefix="easel-bench-")))
    customer = Customer.make(stack.base_url, model_folder=folder, pool="streams")
    generation = customer.post("/v1/generations", {"prompt": "a cat", "model": customer.model})["id"]
    with _Web(stack) as port:
        reads = _Reads(port, generation, customer.token)
        reads.p95()  # warm
        before, memory = _median(reads), _resident(port)
        streams = [_open(port, f"/v1/generations/{generation}/events", customer.token) for _ in range(STREAMS)]
        with_streams, weight = _median(reads), _resident(port) - memory
        for stream in streams:
            stream.close()
        time.sleep(2)
        between = _median(reads)
        path = f"/v1/generations/{generation}"
        waiters = [_open(port, path, customer.token, "Prefer: wait=60", read=False) for _ in range(WAITERS)]
        time.sleep(3)
        with_waiters = _median(reads)
        for waiter in waiters:
            waiter.close()
        time.sleep(2)
        after = _median(reads)
    rows = [
        _row(f"{STREAMS:,} event streams", f"{weight / 2**20:.0f} MB", (before + between) / 2, with_streams),
        _row(f"{WAITERS} clients in `Prefer: wait`", "", (between + after) / 2, with_waiters),
    ]
    return Table(
        "Waiting well",
        f"One web process. p95 of {READS} status reads over one kept connection, the median of {ROUNDS} rounds: "
        "without those who wait (before they come and after they left) and with them. The limits we set ourselves are "
        "100 MB and a ratio of 1.1.",
        ["who waits", "more memory", "p95 without", "p95 with", "ratio"],
        rows,
    )


def _row(who: str, memory: str, without: float, with_them: float) -> list[str]:
    return [who, memory, milliseconds(without), milliseconds(with_them), f"{with_them / without:.2f}"]


def _median(reads: "_Reads") -> float:
    return statistics.median(reads.p95() for _ in range(ROUNDS))


class _Reads:
    def __init__(self, port: int, generation: str, token: str) -> None:
        self._port = port
        self._path, self._headers = f"/v1/generations/status/{generation}", {"Authorization": f"Bearer {token}"}

    def p95(self) -> float:
        """Over one kept connection, made anew each round: the server closes those that are idle for long."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        times = []
        for _ in range(READS):
            started = time.perf_counter()
            connection.request("GET", self._path, headers=self._headers)
            answer = connection.getresponse()
            answer.read()
            times.append(time.perf_counter() - started)
            assert answer.status == 200, answer.status
        connection.close()
        return statistics.quantiles(times, n=20)[18]


class _Web:
    """One web process of our own, whose memory is nobody else's."""

    def __init__(self, stack: Stack) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        environment = {
            **os.environ, **stack.environment("web"), "EASEL_PROCESS": "web",
            "DJANGO_SETTINGS_MODULE": "easel.settings.embedded", "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
            "EASEL_STREAMS_PER_TENANT": str(STREAMS), "EASEL_WAITS_PER_TENANT": str(WAITERS),
            "EASEL_LOG_LEVEL": "ERROR", "EASEL_METRICS_PORT": "0",
        }  # fmt: skip
        command = [sys.executable, "-m", "uvicorn", "easel.asgi:application", f"--port={self.port}", "--loop=uvloop",
                   "--http=httptools", "--no-access-log", "--backlog=4096"]  # fmt: skip
        self._child = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
        _PROCESSES[self.port] = self._child.pid

    def __enter__(self) -> int:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self.port
            time.sleep(0.1)
        raise TimeoutError("The web process does not listen.")

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait(20)


_PROCESSES: dict[int, int] = {}


def _resident(port: int) -> int:
    status = Path(f"/proc/{_PROCESSES[port]}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def _open(
    port: int, path: str, token: str, header: str = "Accept: text/event-stream", *, read: bool = True
) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{header}\r\n\r\n".encode())
    if read:
        received = b""
        while b"event: status" not in received:
            part = client.recv(65536)
            assert part, received
            received += part
    return client
