"""An Easel that answers as a test says, and time that passes only when somebody sleeps. The same script is played to
both clients: what one does, the other must do, too."""

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

import anyio
import httpx
import pytest

from easel_client import AsyncEasel, CircuitBreaker, Easel, RetryPolicy
from easel_client.policy import Timeouts

KEY, SECRET = "ek_live_" + "B" * 20, "es_" + "A" * 43

Answer = httpx.Response | Exception
Act = Callable[[Any], Any]  # on either client; what it returns is awaited where it has to be


class World:
    """Requests are answered in the order of the script; tokens by themselves, or as `tokens` says."""

    def __init__(self) -> None:
        self.script: list[Answer | Callable[[httpx.Request], Answer]] = []
        self.seen: list[httpx.Request] = []
        self.tokens: list[httpx.Response] = []
        self.token_requests = 0
        self.slept: list[float] = []
        self.moment = 1000.0
        self._lock = threading.Lock()

    def answers(self, *script: Answer | Callable[[httpx.Request], Answer]) -> "World":
        self.script += script
        return self

    def clock(self) -> float:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment += seconds

    def handle(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            if request.url.path == "/oauth/token":
                self.token_requests += 1
                return self.tokens.pop(0) if self.tokens else token(f"token-{self.token_requests}")
            self.seen.append(request)
            assert self.script, f"nothing is left to answer {request.method} {request.url}"
            answer = self.script.pop(0)
        made = answer(request) if callable(answer) else answer
        if isinstance(made, Exception):
            raise made
        if isinstance(made.stream, Lasting):
            return made
        return httpx.Response(made.status_code, headers=made.headers, content=made.content)  # each is read once

    @property
    def sent(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.seen]


class Lasting(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A stream that goes on for a while: the seconds before each chunk, and the chunk."""

    def __init__(self, world: World, *chunks: tuple[float, bytes]) -> None:
        self._world, self._chunks = world, chunks

    def __iter__(self) -> Iterator[bytes]:
        for seconds, chunk in self._chunks:
            self._world.moment += seconds
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def play(kind: str, world: World, act: Act, **options: Any) -> Any:
    """`act` on the client of this kind. Its clock is the world's, and pauses are as long as they can be."""
    breaker = options.pop("breaker", None) or CircuitBreaker(clock=world.clock)
    settings = {"retry": RetryPolicy(), "breaker": breaker, **options}

    async def handled(request: httpx.Request) -> httpx.Response:
        return world.handle(request)

    def settle(client: Easel | AsyncEasel) -> None:
        client._session.clock, client._session.now = world.clock, lambda: 1_700_000_000 + world.moment
        client._session.chance = lambda: 1.0
        if hasattr(client._session.tokens, "_clock"):
            client._session.tokens._clock = world.clock

    async def asynchronously() -> Any:
        http = httpx.AsyncClient(transport=httpx.MockTransport(handled))
        async with AsyncEasel("http://easel.test", KEY, SECRET, http=http, **settings) as client:
            settle(client)
            made = act(client)
            return await made if hasattr(made, "__await__") else [each async for each in made]

    with pytest.MonkeyPatch.context() as patch:

        async def asleep(seconds: float) -> None:
            world.sleep(seconds)

        patch.setattr("easel_client.sync.time.sleep", world.sleep)
        patch.setattr("easel_client.aio.anyio.sleep", asleep)
        if kind == "async":
            return anyio.run(asynchronously)
        http = httpx.Client(transport=httpx.MockTransport(world.handle))
        with Easel("http://easel.test", KEY, SECRET, http=http, **settings) as client:
            settle(client)
            made = act(client)
            return list(made) if hasattr(made, "__next__") else made


def token(text: str, seconds: float = 3600) -> httpx.Response:
    return httpx.Response(200, json={"access_token": text, "token_type": "Bearer", "expires_in": seconds})


def problem(status: int, code: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> httpx.Response:
    body = {"type": "", "title": code, "status": status, "detail": f"It is {code}.", "code": code, "instance": "req_1"}
    content = json.dumps({**body, **more}).encode()
    return httpx.Response(
        status, content=content, headers={"Content-Type": "application/problem+json", **(headers or {})}
    )


def generation(status: str = "completed", *, id: str = "0193-a", images: Iterable[Any] = (), **more: Any) -> Any:  # noqa: A002
    return {"id": id, "task_id": id, "status": status, "images": list(images), "error": None, **more}


def accepted(status: str = "queued", **more: Any) -> httpx.Response:
    return httpx.Response(202 if status in {"queued", "running"} else 200, json=generation(status, **more))


def key_of(request: httpx.Request) -> str:
    return str(request.headers["idempotency-key"])


def timeouts() -> Timeouts:
    return Timeouts(connect=1, read=2, write=3, pool=4, events=5)
