"""How a web process leaves while others go on: nobody who is connected to it is cut off in the middle of asking.

uvicorn's own stop closes idle connections at once. A client that has just sent its next request on one of them sees
it fail. Here the process first takes no new connections (its siblings share the port and do), answers what still comes
with `Connection: close`, and stops when all have gone or the time is over.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from uvicorn import Server

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.02
GOOD_BYE: Final = (b"connection", b"close")


async def leave(server: Server, then: Callable[[], Any], *, seconds: float) -> None:
    """`then` is the server's own way of stopping; it is called whatever happens here."""
    began = time.monotonic()
    try:
        for listener in server.servers:
            listener.close()
        server.config.encoded_headers.append(GOOD_BYE)  # the server builds its headers from these once a second
        server.server_state.default_headers = [*server.server_state.default_headers, GOOD_BYE]
        while server.server_state.connections and time.monotonic() - began < seconds:
            await asyncio.sleep(LOOK_SECONDS)
        log.info("web.left", seconds=round(time.monotonic() - began, 2), cut=len(server.server_state.connections))
    finally:
        then()
