"""Easel's own ASGI application on a real port, and a client that reads event streams."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from easel.asgi import create
from tests.web.served import connect, served


@dataclass(frozen=True)
class Event:
    id: str
    kind: str
    data: dict[str, Any]


@contextmanager
def easel_served() -> Iterator[int]:
    with served(create()) as port:
        yield port


def ask(
    port: int, method: str, path: str, *, token: str, body: dict[str, Any] | None = None, **headers: str
) -> HTTPResponse:
    """The answer, its body still to be read. Header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = connect(port)
    content = None if body is None else json.dumps(body)
    connection.request(
        method, path, content, {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **named}
    )
    answer = connection.getresponse()
    _connections[id(answer)] = connection
    return answer


def hang_up(answer: HTTPResponse) -> None:
    _connections.pop(id(answer)).close()
    answer.close()


_connections: dict[int, HTTPConnection] = {}


def events(response: HTTPResponse) -> Iterator[Event]:
    """The stream's events as they come, until it ends. Comments are passed over."""
    fields: dict[str, str] = {}
    for raw in response:
        line = raw.decode().rstrip("\n")
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line and "event" in fields:
            yield Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}
