"""Routes that are answered on the event loop: what waits or streams, and what must answer when threads are busy.

Apps register theirs in `AppConfig.ready()`. A handler never touches the ORM on the loop.
"""

import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.urls import Resolver404, resolve

from easel import problems, requests
from easel.bridge import Message, Receive, Scope, Send
from easel.problems import Problem

logger = structlog.get_logger("easel.routes")


class Exchange:
    """One request and its answer. Every answer carries the request id."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self._send = scope, receive, send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.begun = False
        self._since = time.perf_counter()
        self.request_id = requests.begin(self.header("x-request-id"))

    def header(self, name: str) -> str | None:
        wanted = name.lower().encode("latin-1")
        values = [value for key, value in self.scope["headers"] if key == wanted]
        return b",".join(values).decode("latin-1") if values else None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            identity = (requests.HEADER.lower().encode(), self.request_id.encode())
            message["headers"] = [*message.get("headers", []), identity]
        await self._send(message)

    async def json(
        self,
        status: int,
        payload: Mapping[str, Any],
        *,
        media_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body = json.dumps(payload).encode()
        fields = {"content-type": media_type, "content-length": str(len(body)), **(headers or {})}
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": encoded})
        await self.send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    async def problem(self, problem: Problem) -> None:
        """Counted and logged as Django's answers are, by the template of the route that was asked for."""
        told = problems.told(problem, self.path)
        connected = (self.scope.get("client") or ("",))[0]
        requests.record(
            self.method, _template(self.path), told.status,
            client=requests.address(connected, self.header("x-forwarded-for") or ""),
            seconds=time.perf_counter() - self._since,
        )  # fmt: skip
        await self.json(told.status, told.body, media_type=told.media_type, headers=told.headers)


def _template(path: str) -> str:
    try:
        return str(resolve(path).route)
    except Resolver404:
        return "unmatched"


Handler = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """`pattern` matches the whole path; its named groups become the handler's arguments."""

    pattern: re.Pattern[str]
    handler: Handler
    methods: frozenset[str]
    audiences: frozenset[str]  # of {"web", "staff"}: the staff process answers nothing of the customers' API

    async def answer(self, exchange: Exchange, arguments: Mapping[str, str]) -> None:
        if exchange.method in self.methods:
            await self.handler(exchange, **arguments)
        else:
            allow = ", ".join(sorted(self.methods))
            said = f"{exchange.method} is not allowed here; {allow} is."
            await exchange.problem(Problem("method_not_allowed", said, headers={"Allow": allow}))


class Routes:
    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(
        self,
        pattern: str,
        handler: Handler,
        *,
        methods: frozenset[str] = frozenset({"GET", "HEAD"}),
        audiences: frozenset[str] = frozenset({"web"}),
    ) -> None:
        self._routes.append(Route(re.compile(pattern), handler, methods, audiences))

    def find(self, path: str, *, audience: str) -> tuple[Route, dict[str, str]] | None:
        for route in self._routes:
            matched = route.pattern.fullmatch(path)
            if matched is not None and audience in route.audiences:
                return route, matched.groupdict()
        return None


ROUTES = Routes()
