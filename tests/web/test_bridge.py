"""A WSGI application behind the bridge sees each request whole, and each client gets its answer as it was made."""

import hashlib
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPConnection, HTTPResponse
from itertools import count
from typing import Any

import pytest

from easel.asgi import Application
from easel.bridge import PACE_BYTES, PACE_SECONDS, ClientGone, Environ, Pace, WSGIBridge, environ
from easel.requests import ARRIVED
from easel.routes import Exchange, Routes
from tests.web.served import connect, eventually, served

BODY_BYTES = 4 * 1024 * 1024
THREADS = 4
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Whole(list[bytes]):
    """An answer as Django makes it: complete, and closed when it has been sent."""

    streaming = False

    def __init__(self, content: bytes, on_close: Callable[[], None]) -> None:
        super().__init__([content[:3], content[3:]])
        self.close = on_close


class Download:
    """A large answer that says whose it is, and asks what was answered."""

    streaming = True

    def __init__(self, chunks: Iterator[bytes], account: str, told: list[tuple[str, int]]) -> None:
        self._chunks, self.place_of, self._told = chunks, account, told

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def answered(self, status: int, *, rehearsed: bool) -> None:
        self._told.append((self.place_of, status))

    def close(self) -> None:
        self._chunks.close()  # type: ignore[attr-defined]  # it is a generator


class Backend:
    """The application behind the bridge. It remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[Environ] = []
        self.closed_in: list[str] = []
        self.ran_in: list[str] = []
        self.go_on = threading.Event()
        self.waiting = threading.Semaphore(0)
        self.chunks = 0
        self.told: list[tuple[str, int]] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self.seen.append(environ)
        self.ran_in.append(threading.current_thread().name)
        answer: Callable[[Environ, StartResponse], Iterable[bytes]] = getattr(
            self, environ["PATH_INFO"].split("/")[1] or "echo", self.echo
        )
        return answer(environ, start_response)

    def close(self) -> None:
        self.closed_in.append(threading.current_thread().name)

    def echo(self, environ: Environ, start_response: StartResponse) -> Whole:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        told = {name: value for name, value in environ.items() if isinstance(value, str)}
        content = json.dumps({**told, "body": hashlib.sha256(body).hexdigest()}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        return Whole(content, self.close)

    def empty(self, environ: Environ, start_response: StartResponse) -> Whole:
        start_response("204 No Content", [])
        return Whole(b"", self.close)

    def unchanged(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        """As WhiteNoise says that a file is still the same: an iterable of nothing, without a length."""
        start_response("304 Not Modified", [("Cache-Control", "max-age=60")])
        return iter(())

    def stream(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        try:
            yield b"first,"
            yield b""
            assert self.go_on.wait(10)
            yield b"second"
        finally:
            self.close()

    def endless(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return self._without_end()

    def _without_end(self) -> Iterator[bytes]:
        try:
            while True:
                self.chunks += 1
                yield bytes(64 * 1024)
        finally:
            self.close()

    def download(self, environ: Environ, start_response: StartResponse) -> "Download":
        start_response("200 OK", [("Content-Type", "application/zip")])
        return Download(self._without_end(), environ["PATH_INFO"].split("/")[2], self.told)

    def wait(self, environ: Environ, start_response: StartResponse) -> Whole:
        self.waiting.release()
        assert self.go_on.wait(10)
        return self.echo(environ, start_response)

    def fail(self, environ: Environ, start_response: StartResponse) -> Whole:
        raise ZeroDivisionError

    def breaks(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self._broken()

    def _broken(self) -> Iterator[bytes]:
        yield b"first,"
        raise ZeroDivisionError


async def quick(exchange: Exchange) -> None:
    await exchange.json(200, {"path": exchange.path})


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def port(backend: Backend) -> Iterator[int]:
    routes = Routes()
    routes.add("/quick", quick)
    bridge = WSGIBridge(backend, threads=THREADS, body_bytes=BODY_BYTES)
    with served(Application(bridge, routes, audience="web")) as port:
        yield port
        backend.go_on.set()


def ask(port: int, method: str, target: str, body: Any = None, **options: Any) -> HTTPResponse:
    connection = connect(port)
    connection.request(method, target, body, **options)
    return connection.getresponse()


def told(response: HTTPResponse) -> dict[str, str]:
    assert response.status == 200
    found: dict[str, str] = json.loads(response.read())
    return found


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_large_body_arrives_whole(port: int) -> None:
    body = bytes(range(256)) * 8192  # 2 MB, past the spool
    seen = told(ask(port, "POST", "/echo", body))
    assert (seen["CONTENT_LENGTH"], seen["body"]) == (str(len(body)), hashlib.sha256(body).hexdigest())


def test_a_chunked_upload_arrives_whole_with_its_real_length(port: int) -> None:
    pieces = [bytes([index % 256]) * 40_000 for index in range(50)]
    seen = told(ask(port, "POST", "/echo", iter(pieces), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}))
    assert seen["CONTENT_LENGTH"] == str(2_000_000)
    assert seen["body"] == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert "HTTP_TRANSFER_ENCODING" not in seen


def test_a_body_of_exactly_the_cap_is_taken(port: int) -> None:
    assert told(ask(port, "POST", "/echo", bytes(BODY_BYTES)))["CONTENT_LENGTH"] == str(BODY_BYTES)


def test_a_declared_body_over_the_cap_is_refused_before_it_is_sent(port: int, backend: Backend) -> None:
    request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES + 1)
    head, _, body = raw(port, request).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head.lower()
    assert b"x-request-id: req_" in head.lower()
    assert json.loads(body)["code"] == "body_too_large"
    assert not backend.seen


def test_a_chunked_body_over_the_cap_is_refused(port: int, backend: Backend) -> None:
    pieces = b"".join(b"10000\r\n" + bytes(65536) + b"\r\n" for _ in range(BODY_BYTES // 65536 + 1))
    request = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces
    assert raw(port, request).startswith(b"HTTP/1.1 413 ")
    assert not backend.seen


def test_a_body_is_no_part_of_the_next_request_on_the_connection(port: int) -> None:
    connection = connect(port)
    for body in (b"a" * 100_000, b"", b"b"):
        connection.request("POST", "/echo", body)
        assert told(connection.getresponse())["body"] == hashlib.sha256(body).hexdigest()


def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    requests = b"".join(b"GET /echo/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(5))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(requests)
        received = b""
        while received.count(b'"PATH_INFO"') < 5:
            received += connection.recv(65536)
    places = [received.index(b'"/echo/%d"' % number) for number in range(5)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/echo/a%20b?q=1%202&q=3", "/echo/a b", "q=1%202&q=3"),
        ("/echo/%E8%B5%9B", "/echo/赛", ""),
        ("/echo/%2e%2E/a%2Fb", "/echo/../a/b", ""),
        ("/echo/%FF", b"/echo/\xff".decode("latin-1"), ""),
        ("/echo/?", "/echo/", ""),
        ("http://example.com/echo/abs?x=y", "/echo/abs", "x=y"),
    ],
)
def test_paths_are_decoded_once_and_queries_not_at_all(port: int, target: str, path: str, query: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    seen = json.loads(raw(port, request).partition(b"\r\n\r\n")[2])
    expected = path if "\xff" in path else path.encode().decode("latin-1")
    assert (seen["PATH_INFO"], seen["QUERY_STRING"]) == (expected, query)


def test_headers_reach_the_application_as_cgi_names_them(port: int) -> None:
    request = (
        b"GET /echo HTTP/1.1\r\nHost: easel.test:80\r\nX-Twice: a\r\nX-Twice: b\r\nCookie: a=1\r\nCookie: b=2\r\n"
        b"X-Latin: \xe9\r\nX_Request_ID: forged\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    )
    seen = json.loads(raw(port, request).partition(b"\r\n\r\n")[2])
    assert seen["HTTP_X_TWICE"] == "a,b"
    assert seen["HTTP_COOKIE"] == "a=1; b=2"
    assert seen["HTTP_X_LATIN"] == "é"
    assert seen["HTTP_HOST"] == "easel.test:80"
    assert seen["CONTENT_TYPE"] == "text/plain"
    assert "HTTP_X_REQUEST_ID" not in seen
    assert (seen["REQUEST_METHOD"], seen["CONTENT_LENGTH"]) == ("GET", "0")
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["SERVER_PROTOCOL"]) == ("127.0.0.1", "http", "HTTP/1.1")


def test_headers_of_an_answer_keep_their_order_and_number(port: int) -> None:
    response = ask(port, "GET", "/echo")
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert int(response.headers["Content-Length"]) == len(response.read())


def test_a_head_request_gets_the_headers_alone(port: int, backend: Backend) -> None:
    connection = connect(port)
    connection.request("HEAD", "/echo")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0
    connection.request("HEAD", "/stream")  # the same connection is still in step
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"")
    assert not backend.go_on.is_set()


def test_an_answer_without_a_body_has_no_length(port: int) -> None:
    response = ask(port, "GET", "/empty")
    assert (response.status, response.read()) == (204, b"")
    assert "Content-Length" not in response.headers


def test_a_stream_reaches_the_client_while_it_is_being_made(port: int, backend: Backend) -> None:
    response = ask(port, "GET", "/stream")
    assert response.read(6) == b"first,"
    assert not backend.go_on.is_set()
    backend.go_on.set()
    assert response.read() == b"second"


@pytest.mark.parametrize("target", ["/echo", "/stream"])
def test_what_a_request_opened_is_closed_in_its_own_thread(port: int, backend: Backend, target: str) -> None:
    backend.go_on.set()
    ask(port, "GET", target).read()
    eventually(lambda: backend.closed_in)
    assert backend.closed_in == backend.ran_in
    assert backend.closed_in[0].startswith("wsgi")


def test_a_slow_reader_slows_its_stream_down_and_hanging_up_ends_it(port: int, backend: Backend) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(1024)
        made = -1
        while made != backend.chunks:  # until nothing more is made: the buffers on the way are full
            made = backend.chunks
            threading.Event().wait(0.3)
        assert made < 1000  # 64 MB
        assert not backend.closed_in
    eventually(lambda: backend.closed_in)


def test_a_reader_that_stalls_does_not_keep_the_process_from_stopping(backend: Backend) -> None:
    bridge = WSGIBridge(backend, threads=THREADS, body_bytes=BODY_BYTES)
    with (
        socket.socket() as client,
        served(Application(bridge, Routes(), audience="web")) as port,  # leaving it fails after 10 s
    ):
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(1024)
        threading.Event().wait(0.5)
    assert backend.closed_in == backend.ran_in


def test_a_client_that_leaves_during_its_upload_costs_no_thread(port: int, backend: Backend) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhalf")
    assert told(ask(port, "GET", "/echo"))["REQUEST_METHOD"] == "GET"
    assert len(backend.seen) == 1


def test_a_slow_upload_holds_no_thread(port: int, backend: Backend) -> None:
    uploads = [socket.create_connection(("127.0.0.1", port)) for _ in range(THREADS * 2)]
    for upload in uploads:
        upload.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhalf")
    assert told(ask(port, "GET", "/echo"))["REQUEST_METHOD"] == "GET"
    for upload in uploads:
        upload.close()


def test_the_loop_answers_while_every_thread_is_busy(port: int, backend: Backend) -> None:
    busy: list[HTTPConnection] = []
    for _ in range(THREADS):
        busy.append(connect(port))
        busy[-1].request("GET", "/wait")
        assert backend.waiting.acquire(timeout=10)
    assert told(ask(port, "GET", "/quick")) == {"path": "/quick"}
    backend.go_on.set()
    assert [connection.getresponse().status for connection in busy] == [200] * THREADS


def test_slow_readers_of_streams_leave_threads_for_everybody_else(port: int, backend: Backend) -> None:
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(THREADS * 2)]
    said = []
    for reader in slow:
        reader.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        said.append(reader.recv(12))  # and takes nothing more
    assert said == [b"HTTP/1.1 200"] * (THREADS // 2) + [b"HTTP/1.1 503"] * (THREADS * 2 - THREADS // 2)
    assert told(ask(port, "GET", "/echo"))["REQUEST_METHOD"] == "GET"
    assert ask(port, "GET", "/unchanged").status == 304, (
        "a page's styles are asked for again while all streams are taken"
    )
    assert ask(port, "HEAD", "/endless").status == 200
    for reader in slow:
        reader.close()
    eventually(lambda: len(backend.closed_in) == THREADS // 2 + 1)  # those that began, and the echo
    backend.go_on.set()
    assert ask(port, "GET", "/stream").read() == b"first,second"


def test_one_account_has_one_place_and_a_refusal_is_not_told_as_an_answer(port: int, backend: Backend) -> None:
    open_ones, said = [], []
    for account in ("ada", "ada", "bob", "carl"):
        reader = socket.create_connection(("127.0.0.1", port))
        reader.sendall(f"GET /download/{account} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        said.append(reader.recv(12))  # and takes nothing more
        open_ones.append(reader)
    assert said == [b"HTTP/1.1 200", b"HTTP/1.1 429", b"HTTP/1.1 200", b"HTTP/1.1 503"]
    assert backend.told == [("ada", 200), ("bob", 200)]
    refused = ask(port, "GET", "/download/ada")
    assert (refused.status, refused.headers["Retry-After"], json.loads(refused.read())["code"]) == (
        429, "10", "rate_limited",
    )  # fmt: skip
    for reader in open_ones:
        reader.close()
    eventually(lambda: len(backend.closed_in) == 2)
    again = ask(port, "GET", "/download/ada")
    assert again.status == 200
    again.close()


def test_who_takes_too_little_for_too_long_is_left(backend: Backend) -> None:
    """By this clock each piece of 64 KiB takes ten seconds."""
    moments = count(step=10.0)
    bridge = WSGIBridge(backend, threads=THREADS, body_bytes=BODY_BYTES, clock=lambda: next(moments))
    with served(Application(bridge, Routes(), audience="web")) as port:
        received = raw(port, b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200")
    assert not received.endswith(b"0\r\n\r\n")
    assert backend.chunks == PACE_SECONDS / 10 - 1  # the first message is the head
    assert backend.closed_in


def test_the_pace_is_that_of_a_minute_and_of_the_time_that_is_waited() -> None:
    pace = Pace()
    for _ in range(10):  # half a minute without a byte, then enough
        pace.took(0, PACE_SECONDS / 2)
        pace.took(int(PACE_BYTES * PACE_SECONDS), PACE_SECONDS / 2)
    pace.took(10, 0.0)
    with pytest.raises(ClientGone):
        pace.took(int(PACE_BYTES * PACE_SECONDS) - 100, PACE_SECONDS)


def test_the_time_of_a_request_begins_before_it_waits_for_a_thread(backend: Backend) -> None:
    bridge = WSGIBridge(backend, threads=THREADS, body_bytes=BODY_BYTES)
    with served(Application(bridge, Routes(), audience="web")) as port:
        busy = [connect(port) for _ in range(THREADS)]
        for connection in busy:
            connection.request("GET", "/wait")
            assert backend.waiting.acquire(timeout=10)
        waits = connect(port)
        waits.request("GET", "/echo/late")
        eventually(lambda: bridge._threads._work_queue.qsize() == 1)
        before_it_ran = time.perf_counter()
        backend.go_on.set()
        assert waits.getresponse().status == 200
        assert [connection.getresponse().status for connection in busy] == [200] * THREADS
    (late,) = [each for each in backend.seen if each["PATH_INFO"] == "/echo/late"]
    assert late[ARRIVED] < before_it_ran


def test_a_failure_ends_its_own_request_only(port: int) -> None:
    assert ask(port, "GET", "/fail").status == 500
    assert ask(port, "GET", "/echo").status == 200


def test_a_stream_that_breaks_is_not_taken_for_a_whole_one(port: int) -> None:
    received = raw(port, b"GET /breaks HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"first," in received
    assert not received.endswith(b"0\r\n\r\n")


def test_a_mount_point_is_the_script_name() -> None:
    scope: dict[str, Any] = {
        "method": "GET",
        "path": "/easel/v1/x",
        "raw_path": b"/easel/v1/x",
        "root_path": "/easel",
        "scheme": "https",
        "server": ("easel.test", 443),
        "client": None,
        "headers": [],
    }
    values = environ(scope, io.BytesIO(), 0)
    assert (values["SCRIPT_NAME"], values["PATH_INFO"]) == ("/easel", "/v1/x")
    assert (values["wsgi.url_scheme"], values["SERVER_PORT"], values["REMOTE_ADDR"]) == ("https", "443", "")


def test_a_server_without_raw_paths_is_understood() -> None:
    scope: dict[str, Any] = {"method": "GET", "path": "/赛", "headers": []}
    assert environ(scope, io.BytesIO(), 0)["PATH_INFO"] == "/赛".encode().decode("latin-1")
