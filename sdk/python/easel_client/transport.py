"""What both drivers share of httpx: requests, replies, and what its errors mean."""

from __future__ import annotations

import httpx

from easel_client.effects import Broken, Reply, Request
from easel_client.policy import Timeouts

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=15.0)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


def timeout_of(request: Request, timeouts: Timeouts) -> httpx.Timeout:
    return httpx.Timeout(connect=timeouts.connect, read=request.read_timeout, write=timeouts.write, pool=timeouts.pool)


def reply_of(response: httpx.Response, content: bytes) -> Reply:
    return Reply(response.status_code, dict(response.headers.items()), content)


def broken_by(error: httpx.HTTPError | httpx.StreamError) -> Broken:
    return Broken(
        error,
        timed_out=isinstance(error, httpx.TimeoutException),
        unsent=isinstance(error, _UNSENT),
        ours=isinstance(error, httpx.PoolTimeout),
    )
