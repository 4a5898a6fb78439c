"""Is the process alive, and can it do its work? Orchestrators ask the first to restart it, the other before they route
to a new one; later it is for people, and for alarms of their own."""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
import structlog
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from redis import Redis

from easel import metrics
from easel.routes import Exchange
from easel.storage import storage

FRESH_SECONDS: Final = 2.0  # anybody may ask, and each look costs a write to the store
PATIENCE_SECONDS: Final = 2
AMQP_PORT: Final = 5672

logger = structlog.get_logger("easel.health")


async def alive(exchange: Exchange) -> None:
    """The event loop turns; nothing else is asked."""
    await exchange.json(200, {"status": "ok"}, headers={"cache-control": "no-store"})


@csrf_exempt  # a 405 is the answer to a wrong method, not a missing token
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """503 with the names of what fails. Why it fails is in the log: the answer is public."""
    away = failing()
    checks = {name: "failing" if name in away else "ok" for name in CHECKS}
    status = "unavailable" if away else "ready"
    answer = JsonResponse({"status": status, "checks": checks}, status=503 if away else 200)
    answer["Cache-Control"] = "no-store"
    return answer


def check_postgres() -> None:
    """A connection of its own: the pool's may all be at work, which is no failure."""
    database: dict[str, Any] = settings.DATABASES[settings.DATABASE_ALIAS]
    given = {name: value for name, value in database["OPTIONS"].items() if name != "pool"}
    limits = {"connect_timeout": PATIENCE_SECONDS, "tcp_user_timeout": PATIENCE_SECONDS * 1000}
    with psycopg.connect(
        host=database["HOST"],
        port=database["PORT"],
        dbname=database["NAME"],
        user=database["USER"],
        password=database["PASSWORD"],
        **{**given, **limits},
    ) as connection:
        connection.execute("SELECT 1")


def check_cache() -> None:
    _ping(settings.CACHE_URL)


def check_broker() -> None:
    url = urlsplit(settings.BROKER_URL)
    if url.scheme.startswith("amqp"):
        socket.create_connection((url.hostname, url.port or AMQP_PORT), PATIENCE_SECONDS).close()
    else:
        _ping(settings.BROKER_URL)


def check_storage() -> None:
    storage().check()


def _ping(url: str) -> None:
    with Redis.from_url(url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS) as redis:
        redis.ping()


CHECKS: Final[Mapping[str, Callable[[], None]]] = {
    "postgres": check_postgres,
    "cache": check_cache,
    "broker": check_broker,
    "storage": check_storage,
}


class Readiness:
    """Runs all checks side by side; an answer holds for two seconds, and only one look is under way at a time."""

    def __init__(self, checks: Mapping[str, Callable[[], None]]) -> None:
        self._checks = checks
        self._threads = ThreadPoolExecutor(len(checks), thread_name_prefix="readiness")
        self._looking = threading.Lock()
        self._seen: frozenset[str] = frozenset()
        self._until = 0.0

    def failing(self) -> frozenset[str]:
        with self._looking:
            if time.monotonic() >= self._until:
                started = {name: self._threads.submit(check) for name, check in self._checks.items()}
                self._seen = frozenset(name for name, look in started.items() if not _passed(name, look.exception()))
                self._until = time.monotonic() + FRESH_SECONDS
            return self._seen


def failing() -> frozenset[str]:
    """The names of what does not answer now."""
    return _readiness().failing()


@cache
def _readiness() -> Readiness:
    return Readiness(CHECKS)


def _passed(name: str, error: BaseException | None) -> bool:
    if error is not None:
        metrics.DEPENDENCY_FAILURES.labels(name).inc()
        logger.warning("a dependency does not answer", dependency=name, exc_info=error)
    return error is None
