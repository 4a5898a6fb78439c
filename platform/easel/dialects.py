"""How a problem is written for those who read something else than RFC 9457: by the path they asked for.

Whoever speaks another API's language under a path of its own registers how an error looks there. Every error of that
path, of its views or before and outside of them, is then written so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from easel.problems import Problem

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Told:
    """A problem as it is sent."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    media_type: str = "application/json"


Tell = Callable[["Problem"], Told]
_dialects: dict[str, Tell] = {}


def register(prefix: str, tell: Tell) -> None:
    """Paths that begin with this prefix have their errors told so."""
    _dialects[prefix] = tell


def spoken(path: str) -> bool:
    """Whether a path has a dialect of its own."""
    return path.startswith(tuple(_dialects))


def told(problem: "Problem", path: str) -> Told:
    for prefix, tell in _dialects.items():
        if path.startswith(prefix):
            return tell(problem)
    return Told(problem.status, problem.as_dict(), problem.headers, MEDIA_TYPE)
