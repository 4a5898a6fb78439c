"""A proxy that understands HTTP well enough to be nasty: it drops, delays, resets and cuts, answers in Easel's place,
and lets tokens expire, all at random and by a seed. What it did is counted."""

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Final

from tests.chaos.proxy import RESET

CHUNK: Final = 16_384
TOKEN_LIFE: Final = 0.02  # the share of requests with which a token that was good is none any more


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    head: bytes
    headers: dict[str, str]
    body: bytes


class Torn(Exception):
    """This connection is over."""


class FaultyProxy:
    """Listens on a free port of the loopback. `share` of the requests meet a fault."""

    def __init__(self, upstream: tuple[str, int], *, share: float, seed: int) -> None:
        self._upstream, self._share = upstream, share
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._good: Counter[str] = Counter()
        self._expired: set[str] = set()
        self.counts: Counter[str] = Counter()
        self._before: list[Callable[[socket.socket], None]] = [
            self._drop, self._reset,
            _in_its_place(429, "rate_limited", "0"), _in_its_place(503, "overloaded", "0"),
            _in_its_place(500, "internal_error", ""),
        ]  # fmt: skip
        self._after = ["answer lost", "answer cut", "answer reset", "500 in place of the answer", "delayed"]
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            client.settimeout(60)
            rest = b""
            while True:
                asked, rest = _read(client, rest)
                self._one(client, asked)
        except (Torn, OSError, HTTPException):
            pass  # by a fault, or by whoever is at the other end
        finally:
            client.close()

    def _one(self, client: socket.socket, asked: Asked) -> None:
        if self._token_expired(asked):
            self._count("token expired")
            client.sendall(_problem(401, "token_expired"))
            return
        with self._lock:
            faulty, early = self._chance.random() < self._share, self._chance.random() < 0.5
            before, after = self._chance.choice(self._before), self._chance.choice(self._after)
            delay = self._chance.uniform(0.05, 0.4)
        if faulty and early:
            before(client)
            self._count(getattr(before, "named", before.__name__.strip("_")))
            return
        upstream = HTTPConnection(*self._upstream, timeout=60)
        try:
            upstream.request(asked.method, asked.path, asked.body or None, asked.headers)
            response = upstream.getresponse()
            if faulty:
                self._count(after)
                self._answer_badly(client, response, after, delay)
            else:
                _pass_on(client, response)
        finally:
            upstream.close()

    def _answer_badly(self, client: socket.socket, response: HTTPResponse, fault: str, delay: float) -> None:
        """Easel has done what was asked: now the answer meets its fate."""
        if fault == "delayed":
            time.sleep(delay)
            _pass_on(client, response)
        elif fault == "500 in place of the answer":
            response.read(CHUNK)
            client.sendall(_problem(500, "internal_error"))
        elif fault == "answer lost":
            raise Torn
        elif fault == "answer cut":
            _pass_on(client, response, at_most=64)
            raise Torn
        else:
            _pass_on(client, response, at_most=16)
            self._reset(client)

    def _token_expired(self, asked: Asked) -> bool:
        """A token is good at first. Once it has ended it stays so."""
        token = asked.headers.get("authorization", "")
        if not token or asked.path.startswith("/oauth/"):
            return False
        with self._lock:
            if self._good[token] and self._chance.random() < TOKEN_LIFE:
                self._expired.add(token)
            self._good[token] += 1
            return token in self._expired

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def _drop(self, client: socket.socket) -> None:
        raise Torn

    def _reset(self, client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        raise Torn


def _in_its_place(status: int, code: str, retry_after: str) -> Callable[[socket.socket], None]:
    def answer(client: socket.socket) -> None:
        client.sendall(_problem(status, code, retry_after))

    answer.named = str(status)  # type: ignore[attr-defined]
    return answer


def _problem(status: int, code: str, retry_after: str = "") -> bytes:
    body = json.dumps({"status": status, "title": code, "detail": "By the proxy.", "code": code}).encode()
    asks = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n{asks}\r\n"
    return head.encode() + body


def _read(client: socket.socket, rest: bytes) -> tuple[Asked, bytes]:
    while b"\r\n\r\n" not in rest:
        part = client.recv(CHUNK)
        if not part:
            raise Torn
        rest += part
    head, _, rest = rest.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    length = int(headers.get("content-length", 0))
    while len(rest) < length:
        part = client.recv(CHUNK)
        if not part:
            raise Torn
        rest += part
    return Asked(method, path, head, headers, rest[:length]), rest[length:]


def _pass_on(client: socket.socket, response: HTTPResponse, *, at_most: int | None = None) -> None:
    """Framed as it came, so that a cut can be noticed. An event stream goes piece by piece."""
    length = response.getheader("Content-Length")
    framing = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    if response.status in {204, 304}:
        framing = "X-Framed: not"
    hop = {"content-length", "transfer-encoding", "connection"}
    fields = "".join(f"{name}: {value}\r\n" for name, value in response.getheaders() if name.lower() not in hop)
    client.sendall(f"HTTP/1.1 {response.status} X\r\n{framing}\r\n{fields}\r\n".encode("latin-1"))
    left = at_most
    while left is None or left > 0:
        part = response.read1(CHUNK if left is None else left)
        if not part:
            break
        client.sendall(part if length is not None else b"%x\r\n%s\r\n" % (len(part), part))
        left = None if left is None else left - len(part)
    if length is None and at_most is None and response.status not in {204, 304}:
        client.sendall(b"0\r\n\r\n")
