"""The one port: what waits is answered on the event loop, everything else is Django's WSGI application in threads.

Served by uvicorn (`--loop uvloop --http httptools`); docs/adr/0004 says why Django's own ASGI handler is not used.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "easel.settings.embedded")

from typing import Final

import structlog
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from easel import exporter
from easel.bridge import BodyTooLarge, Receive, Scope, Send, WSGIBridge
from easel.problems import Problem, as_problem
from easel.routes import ROUTES, Exchange, Routes

THREADS: Final = 4  # more gave nothing on two cores, and each can hold a Postgres connection

logger = structlog.get_logger("easel.asgi")


class Application:
    def __init__(self, bridge: WSGIBridge, routes: Routes, *, audience: str) -> None:
        self._bridge = bridge
        self._routes = routes
        self._audience = audience

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

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                exporter.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._bridge.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def create() -> Application:
    django = get_wsgi_application()
    get_resolver().url_patterns  # noqa: B018 - a view that cannot be imported stops us here, not a customer later
    bridge = WSGIBridge(django, threads=THREADS, body_bytes=settings.MAX_BODY_BYTES)
    return Application(bridge, ROUTES, audience="staff" if settings.PROCESS == "staff" else "web")


application = create()
