"""The one port: what waits is answered on the event loop, everything else is Django's WSGI application in threads.

Served by uvicorn (`--loop uvloop --http httptools`); docs/adr/0004 says why Django's own ASGI handler is not used.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "easel.settings.embedded")

import asyncio
import gc
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from types import FrameType
from typing import Any, Final

import django
import structlog
from django.conf import settings
from django.db import connections
from django.urls import get_resolver
from uvicorn import Server

from easel import exporter, tracing
from easel.bridge import BodyTooLarge, Crowded, Message, Receive, Scope, Send, WSGIBridge
from easel.continuation import Continuation, Visit
from easel.hub import Hub, Kind
from easel.leaving import leave
from easel.problems import Problem, as_problem
from easel.routes import ROUTES, Exchange, Routes
from easel.utf8_request import UTF8Handler

THREADS: Final = 4  # more gave nothing on two cores, and each can hold a Postgres connection
WAITING_THREADS: Final = 2  # look at rows for those who wait, so that they take no thread from those who do not

logger = structlog.get_logger("easel.asgi")


class Application:
    def __init__(self, bridge: WSGIBridge, routes: Routes, *, audience: str, room: "WaitingRoom | None" = None) -> None:
        self._bridge = bridge
        self._routes = routes
        self._audience = audience
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._answer(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._routes.find(scope["path"], audience=self._audience)
        if found is None:
            await self._through_the_bridge(scope, receive, send)
            return
        route, arguments = found
        exchange = Exchange(scope, receive, send)
        try:
            await route.answer(exchange, arguments)
        except Exception as error:
            if exchange.begun:
                raise  # the server cuts the connection, so that half an answer is not taken for a whole one
            logger.exception("the request failed")
            await exchange.problem(as_problem(error))

    async def _through_the_bridge(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._bridge(scope, receive, send)
        except BodyTooLarge:
            said = f"A body may have {settings.MAX_BODY_BYTES} bytes at most."
            # The rest of the body is not read: the connection is of no more use.
            refusal = Problem("body_too_large", said, headers={"Connection": "close"})
            await Exchange(scope, receive, send).problem(refusal)
        except Crowded as error:
            said = "Too many large answers are on their way. Try again."
            refusal = Problem("overloaded", said)
            if error.own:
                said = "Another download of this account is under way. Let it end first."
                refusal = Problem("rate_limited", said, headers={"Retry-After": "10"})
            await Exchange(scope, receive, send).problem(refusal)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                exporter.start()
                tracing.start()
                _settle_memory()
                if self._room is not None:
                    self._room.empty_on_sigterm()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._room is not None:
                    await self._room.close()
                await self._bridge.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


class WaitingRoom:
    """Answers that go on after their view: the hub they listen to, and threads that look at rows for them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(WAITING_THREADS, thread_name_prefix="waiting")
        limits: dict[Kind, int] = {"stream": settings.STREAMS_PER_TENANT, "wait": settings.WAITS_PER_TENANT}
        self.hub = Hub(settings.CACHE_URL, limits=limits, in_thread=self._in_thread)
        self._leaving = False
        self._departure: asyncio.Task[None] | None = None  # kept, or the loop would forget it half way

    async def go_on(
        self, continuation: Continuation, start: Message, body: Message, receive: Receive, send: Send
    ) -> None:
        await continuation(Visit(start, body, receive, send, self.hub, self._in_thread))

    def empty_on_sigterm(self) -> None:
        """The server waits for open answers before it tells us to shut down, so that those who wait must go first; and
        it cuts idle connections, so that those who are about to ask again must be told before (`easel.leaving`)."""
        if threading.current_thread() is not threading.main_thread():
            return  # in a test: nobody sends us a signal
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            theirs = signal.getsignal(number)

            def stop(signum: int, frame: FrameType | None, theirs: Any = theirs) -> None:
                loop.call_soon_threadsafe(self.hub.end_all)
                server = getattr(theirs, "__self__", None)
                if signum == signal.SIGTERM and isinstance(server, Server) and not self._leaving:
                    self._leaving = True
                    loop.call_soon_threadsafe(self._leave, server, partial(theirs, signum, frame))
                elif callable(theirs):
                    theirs(signum, frame)

            signal.signal(number, stop)

    def _leave(self, server: Server, then: Callable[[], Any]) -> None:
        self._departure = asyncio.get_running_loop().create_task(leave(server, then, seconds=settings.DRAIN_SECONDS))

    async def close(self) -> None:
        await self.hub.close()
        await asyncio.to_thread(self._threads.shutdown)

    async def _in_thread(self, act: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, _alone, act)


def _alone(act: Callable[[], Any]) -> Any:
    try:
        return act()
    finally:
        connections.close_all()  # back to the pool: no request's end does it here


def _settle_memory() -> None:
    """What was loaded stays: collections need not walk it for ever, least of all while a thousand streams are open."""
    gc.collect()
    gc.freeze()


def create() -> Application:
    django.setup(set_prefix=False)
    handler = UTF8Handler()
    get_resolver().url_patterns  # noqa: B018 - a view that cannot be imported stops us here, not a customer later
    room = WaitingRoom()
    bridge = WSGIBridge(handler, threads=THREADS, body_bytes=settings.MAX_BODY_BYTES, go_on=room.go_on)
    return Application(bridge, ROUTES, audience="staff" if settings.PROCESS == "staff" else "web", room=room)


application = create()
