"""Where the time of one request goes, over all processes: HTTP → submission → queue → slot → store → webhook.

Off unless EASEL_OTLP_ENDPOINT is set: OpenTelemetry is not even loaded. The trace's id is derived from the
request's id, which every process has anyway (the row, the log lines, the webhook): nothing is passed along for it, and
whoever has an `X-Request-ID` can look the trace up. No prompt, name or address is told.
"""

import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, ParamSpec, Protocol, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

P = ParamSpec("P")
T = TypeVar("T")
Attributes = Mapping[str, str | int | float | bool]
NOTHING: Final[Attributes] = {}


class Pen(Protocol):
    """Writes spans down (`easel.otel`)."""

    def root(self, name: str, request_id: str) -> "Span": ...

    def child(self, name: str, request_id: str, attributes: Attributes, began: float | None) -> "Span | None":
        """None where there is nothing to hang it on: neither an open span in this context nor a request's id."""


class Span(Protocol):
    def say(self, name: str | None = None, /, **attributes: str | int | float | bool) -> None:
        """Another name, and what has become known meanwhile; `__` in a key stands for a dot."""

    def end(self, error: BaseException | None = None, *, at: float | None = None) -> None: ...


class Mute:
    """What a caller holds while nothing is traced."""

    def say(self, name: str | None = None, /, **attributes: str | int | float | bool) -> None:
        return

    def end(self, error: BaseException | None = None, *, at: float | None = None) -> None:
        return


_MUTE: Final = Mute()
_pen: Pen | None = None


def start() -> None:
    """Called once by each process that is to be followed."""
    if not settings.OTLP_ENDPOINT:
        return
    try:
        from easel.otel import exporting
    except ModuleNotFoundError as error:
        raise ImproperlyConfigured(
            f"EASEL_OTLP_ENDPOINT needs the packages of requirements/tracing.txt ({error.name} is missing)."
        ) from error
    use(exporting(settings.OTLP_ENDPOINT, process=settings.PROCESS))


def use(pen: Pen | None) -> None:
    global _pen  # noqa: PLW0603  one for each process
    _pen = pen


@contextmanager
def request(request_id: str, name: str) -> Iterator[Span]:
    """The trace's root: a request that is answered."""
    if _pen is None:
        yield _MUTE
        return
    with _held(_pen.root(name, request_id)) as held:
        yield held


@contextmanager
def span(name: str, *, request_id: str = "", attributes: Attributes = NOTHING) -> Iterator[Span]:
    """Part of the way. Below the span that is open in this context, or else directly below the request's."""
    opened = _pen.child(name, request_id, attributes, None) if _pen is not None else None
    if opened is None:
        yield _MUTE
        return
    with _held(opened) as held:
        yield held


def past(
    name: str, *, request_id: str, seconds: float, ended: float | None = None, attributes: Attributes = NOTHING
) -> None:
    """A part that is over: it took `seconds`, until `ended` (Unix time; now, where it is not said)."""
    if _pen is None:
        return
    until = time.time() if ended is None else ended
    if (opened := _pen.child(name, request_id, attributes, until - seconds)) is not None:
        opened.end(at=until)


def traced(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a function that is a part of the way."""

    def decorate(act: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(act)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
            with span(name):
                return act(*args, **kwargs)

        return wrapped

    return decorate


def trace_id(request_id: str) -> int:
    """128 bits, not 0: the first half of the SHA-256 of the request's id. `python -m easel.tracing ID` prints it."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:16], "big") or 1


def root_id(request_id: str) -> int:
    """64 bits, not 0: what the parts of a request name as their parent in other processes than the one it came to."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[16:24], "big") or 1


@contextmanager
def _held(opened: Span) -> Iterator[Span]:
    try:
        yield opened
    except BaseException as error:
        opened.end(error)
        raise
    opened.end()


if __name__ == "__main__":
    import sys

    print(f"{trace_id(sys.argv[1]):032x}")
