"""What the logic asks of the outside. It is written once, as generators that yield these; a driver (`sync.py`,
`aio.py`) performs each and sends back what came of it. So no line of it knows whether it is awaited."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union

from easel_client.errors import EaselError, TimedOut

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # with its query
    headers: Mapping[str, str] = field(repr=False)  # a token is in them
    content: bytes | None = field(default=None, repr=False)  # a secret may be in it
    read_timeout: float = 30.0


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str] = field(repr=False)  # names in lower case
    content: bytes = field(default=b"", repr=False)

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Broken:
    """No answer, or not all of it. `unsent`: Easel cannot have begun on the request. `ours`: nothing was wrong but that
    this client has too many connections open."""

    error: Exception
    timed_out: bool = False
    unsent: bool = False
    ours: bool = False


@dataclass(frozen=True)
class Send:
    """→ Reply or Broken. With `stream`, a good reply has no content yet: ReadMore brings it."""

    request: Request
    stream: bool = False


@dataclass(frozen=True)
class ReadMore:
    """→ the next bytes of the open stream, None at its end, or Broken."""


@dataclass(frozen=True)
class Sleep:
    """→ None"""

    seconds: float


@dataclass(frozen=True)
class Alone:
    """→ what the steps return, or Raised. No others of this client run under `Alone` meanwhile; if their turn does not
    come within `seconds`, TimedOut is raised."""

    steps: Callable[[], Steps[Any]]
    seconds: float


@dataclass(frozen=True)
class Raised:
    """What came instead of an answer: it is raised where the effect was asked for."""

    error: EaselError


@dataclass(frozen=True)
class Emit:
    """→ None. One item for whoever iterates."""

    item: Any


Effect = Union[Send, ReadMore, Sleep, Alone, Emit]
Steps = Generator[Effect, Any, T]


def going_on(steps: Steps[Any], answer: Any) -> Effect:
    """The next effect. StopIteration has what the steps return."""
    return steps.throw(answer.error) if isinstance(answer, Raised) else steps.send(answer)


def no_turn() -> Raised:
    return Raised(TimedOut("POST /oauth/token: other calls were waiting for it, too, and none of them got a token."))
