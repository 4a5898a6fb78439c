"""Who a request is, for logs and answers: its id, its client's address, one line when it is answered."""

import ipaddress
import re
import time
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Final

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from uuid6 import uuid7

from easel import metrics, tracing

HEADER: Final = "X-Request-ID"
# In the WSGI environment, from whoever took the request: when it was there as a whole (`time.perf_counter()`). It calls
# a response's `answered(status)` once, in the end: what is sent may be another answer than the view's, or none.
ARRIVED: Final = "easel.arrived"
REHEARSED: Final = "rehearsed"  # instead of its status: an error that a test key asked for
# Short and plain enough to be put into a log line, a header and a webhook as it came.
_SANE = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
# What a network is in the log: an IPv4 network of 256 addresses, the IPv6 network of a site.
_NETWORK_BITS: Final = {4: 24, 6: 48}
_PROBES: Final = {"healthz", "readyz"}

_request_id: ContextVar[str] = ContextVar("request_id", default="")
logger = structlog.get_logger("easel.requests")


def current_request_id() -> str:
    """The id of the request that is being answered; empty outside of one."""
    return _request_id.get()


def begin(offered: str | None) -> str:
    """Take up the caller's own id, or a new one where it sent none or a strange one; bind it to the log."""
    request_id = offered if offered and _SANE.fullmatch(offered) else f"req_{uuid7().hex}"
    _request_id.set(request_id)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


def client_address(request: HttpRequest) -> str:
    """The address the outermost of our own proxies saw: what a client itself forwards is not believed."""
    return address(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def address(connected: str, forwarded: str) -> str:
    """The same, of who is connected and what the header `X-Forwarded-For` says."""
    hops = [*(hop.strip() for hop in forwarded.split(",") if hop.strip()), connected]
    return _normal(hops[-min(settings.NUM_PROXIES + 1, len(hops))]) or connected


class RequestIdentity:
    """The outermost middleware: everything further in, errors too, gets an id, one log line, one count.

    Their time begins with the request being there as a whole: the wait for a thread is in it. It ends with the view's
    answer; what is held or streamed after that is not in it, only in the status, which is that of what was sent.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = request.META.get(ARRIVED) or time.perf_counter()
        request_id = begin(request.headers.get(HEADER))
        with tracing.request(request_id, str(request.method)) as span:
            response = self.get_response(request)
            route = request.resolver_match.route if request.resolver_match else "unmatched"
            span.say(
                f"{request.method} {route}", http__request__method=str(request.method), http__route=route,
                http__response__status_code=response.status_code,
            )  # fmt: skip
        response[HEADER] = request_id
        told = partial(
            record, str(request.method), route, client=client_address(request), seconds=time.perf_counter() - started
        )
        if ARRIVED in request.META and (response.streaming or hasattr(response, "continuation")):
            # With what is bound to the log now, wherever it is called.
            response.answered = partial(copy_context().run, told)  # type: ignore[attr-defined]  # for easel.bridge
        else:
            problem = getattr(response, "problem", None)
            told(response.status_code, rehearsed=problem is not None and problem.rehearsed)
        return response


def record(method: str, route: str, status: int, *, client: str, seconds: float, rehearsed: bool = False) -> None:
    """One answer: counted, and told to the log. `route` is its template, never the path: a path can hold a signed
    token, and metrics must stay few."""
    metrics.observe_request(method, route, REHEARSED if rehearsed else str(status), seconds)
    log = logger.debug if route in _PROBES else logger.info
    log(
        "answered",
        **{
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "event.duration": int(seconds * 1e9),
            "client.ip": _logged(client),
        },
    )


def _logged(address: str) -> str | None:
    """As much of a client's address as EASEL_LOG_ADDRESSES lets into the log."""
    if settings.LOG_ADDRESSES == "full":
        return address
    if settings.LOG_ADDRESSES == "none" or not _normal(address):
        return None
    bits = _NETWORK_BITS[ipaddress.ip_address(address).version]
    return str(ipaddress.ip_network((address, bits), strict=False).network_address)


def _normal(hop: str) -> str:
    """One spelling per address: no port, and IPv4 for an IPv4 address inside IPv6. Empty: not an address."""
    bare = hop[1:].partition("]")[0] if hop.startswith("[") else hop
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)
