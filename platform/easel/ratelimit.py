"""Rate limits on django-ratelimit's counters: fixed windows in the cache, shared by all processes.

A fixed window lets up to twice the rate through at its edge: enough to keep a caller from drowning others. What money
and devices depend on is counted in Postgres instead. Each boundary decides what happens while the cache is away:
`Unlimited` is what an API does then (open), `guard` refuses (closed); both are counted.
"""

import ipaddress
import math
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Final

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_ratelimit.core import get_usage
from prometheus_client import Counter
from redis.exceptions import RedisError

from easel.problems import Problem
from easel.requests import client_address

CHECKS = Counter("easel_ratelimit_checks", "Rate limit checks: allowed, refused, open or closed.", ["group", "outcome"])
AWAY_SECONDS: Final = 1.0  # after a failure the cache is left alone, so that requests do not queue up for its time-out
MINUTE: Final = 60

logger = structlog.get_logger("easel.ratelimit")


class LimiterAway(Exception):
    """The cache that counts does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much of a limit is used. `seconds` is the window's length, `reset` when it starts anew."""

    name: str
    limit: int
    seconds: int
    used: int
    reset: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def exceeded(self) -> bool:
        return self.used > self.limit


class _Absence:
    until = 0.0


def use(group: str, value: str, *, limit: int, seconds: int = MINUTE, name: str = "") -> Usage:
    """Count one use and say where that leaves it. Raises LimiterAway."""
    if time.monotonic() < _Absence.until:
        raise LimiterAway("The cache did not answer a moment ago.")
    try:
        # It takes a request only to hand it to a key function; ours knows its value already.
        counted = get_usage(None, group=group, key=lambda *_: value, rate=(limit, seconds), increment=True)
    except (RedisError, OSError) as error:
        _Absence.until = time.monotonic() + AWAY_SECONDS
        logger.warning("the rate limiter's cache is away", error=str(error))
        raise LimiterAway(str(error)) from error
    if counted is None or counted["time_left"] < 0:
        raise LimiterAway("The cache did not count.")
    usage = Usage(
        name=name or group, limit=limit, seconds=seconds, used=counted["count"], reset=max(1, counted["time_left"])
    )
    CHECKS.labels(group, "refused" if usage.exceeded else "allowed").inc()
    return usage


def unlimited(group: str) -> None:
    """Note that something passed uncounted, because the cache is away and this boundary stays open."""
    CHECKS.labels(group, "open").inc()


def guard(group: str, values: Mapping[str, str], *, limits: Mapping[str, int], seconds: int = MINUTE) -> None:
    """For doors that must not stand open: Problem 429 beyond a limit, 503 while nobody can count."""
    try:
        usages = [
            use(f"{group}-{name}", value, limit=limits[name], seconds=seconds)
            for name, value in values.items()
            if value
        ]
    except LimiterAway as error:
        CHECKS.labels(group, "closed").inc()
        raise Problem("overloaded", "This cannot be answered safely right now; try again.") from error
    exceeded = [usage for usage in usages if usage.exceeded]
    if exceeded:
        raise refusal("rate_limited", exceeded)


def guarded_sign_in(
    view: Callable[..., HttpResponseBase],
    *,
    account: Callable[[HttpRequest], str] | None = None,
    methods: frozenset[str] = frozenset({"POST"}),
) -> Callable[..., HttpResponseBase]:
    """A form that takes a person's name, password or code, limited by address and by account, and closed while nobody
    can count. `account` says whose it is by what the view itself goes by: what a visitor may choose beside that would
    be a way around. None, or the empty string: nobody is known yet, so only the address counts."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **options: object) -> HttpResponseBase:
        if request.method in methods:
            whose = account(request) if account is not None else ""
            values = {"address": network(client_address(request)), "account": whose}
            guard("sign-in", values, limits=settings.SIGN_INS_PER_MINUTE)
        return view(request, *args, **options)

    return guarded


def named_by(field: str) -> Callable[[HttpRequest], str]:
    """The account that a form's field names. Every spelling that a form takes for the same name counts as one."""
    return lambda request: unicodedata.normalize("NFKC", request.POST.get(field, "")).strip().lower()[:254]


def refusal(code: str, exceeded: Iterable[Usage], *, detail: str = "") -> Problem:
    """The 429 for limits that are used up, with when to come back."""
    last = max(exceeded, key=lambda usage: usage.reset)
    said = detail or f"{last.limit} per {_span(last.seconds)} are allowed. Try again in {last.reset} s."
    return Problem(code, said, headers={"Retry-After": str(last.reset), **headers([last])})


def headers(usages: Iterable[Usage]) -> dict[str, str]:
    """RateLimit and RateLimit-Policy as draft-ietf-httpapi-ratelimit-headers-10 writes them, and the older
    X-RateLimit trio for the tightest one; X-RateLimit-Reset is in seconds since 1970."""
    listed = list(usages)
    tightest = min(listed, key=lambda usage: (usage.remaining, -usage.reset))
    return {
        "RateLimit-Policy": ", ".join(f'"{usage.name}";q={usage.limit};w={usage.seconds}' for usage in listed),
        "RateLimit": ", ".join(f'"{usage.name}";r={usage.remaining};t={usage.reset}' for usage in listed),
        "X-RateLimit-Limit": str(tightest.limit),
        "X-RateLimit-Remaining": str(tightest.remaining),
        "X-RateLimit-Reset": str(math.ceil(time.time()) + tightest.reset),
    }


def note(request: HttpRequest, usages: list[Usage]) -> None:
    """Remember what was counted for this request, for `RateLimitHeaders`."""
    request.rate_limits = usages  # type: ignore[attr-defined]


class RateLimitHeaders:
    """Middleware: every limited answer says where its caller stands, refusals and errors too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        usages: list[Usage] = getattr(request, "rate_limits", [])
        if usages and "RateLimit" not in response.headers:  # a refusal knows better which limit it was
            for name, value in headers(usages).items():
                response.headers[name] = value
        return response


def network(address: str) -> str:
    """What counts as one caller: an IPv4 address, or the /64 that an IPv6 customer is given."""
    try:
        prefix = 64 if ipaddress.ip_address(address).version == 6 else 32
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False).network_address)


def _span(seconds: int) -> str:
    return {60: "minute", 3600: "hour", 86_400: "day"}.get(seconds, f"{seconds} s")
