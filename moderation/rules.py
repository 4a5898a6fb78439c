"""Staff's own terms, read from the database every few seconds."""

import time
from threading import Lock
from typing import Final

from easel.database import rows
from moderation.text.keywords import Keywords

REMEMBER_SECONDS: Final = 5.0
_NOTHING: Final = Keywords({})


class _Shelf:
    def __init__(self) -> None:
        self.at, self.key = 0.0, ""
        self.flags, self.allows = _NOTHING, _NOTHING
        self.lock = Lock()


_shelf = _Shelf()


def live() -> Keywords:
    """Those that flag."""
    return _fresh().flags


def allowed(prompt: str) -> list[tuple[int, int]]:
    """Spans of the prompt that an allowing rule covers."""
    return [(hit.start, hit.end) for hit in _fresh().allows.find(prompt)]


def forget() -> None:
    """A rule was changed in this process."""
    _shelf.at = 0.0


def _fresh() -> _Shelf:
    with _shelf.lock:
        if time.monotonic() - _shelf.at < REMEMBER_SECONDS and _shelf.at:
            return _shelf
        found = rows("SELECT kind, category, term FROM moderation_rule WHERE live ORDER BY id")
        if repr(found) != _shelf.key:  # an automaton is built only when something changed
            groups: dict[str, dict[str, list[str]]] = {"flag": {}, "allow": {}}
            for kind, category, term in found:
                groups[kind].setdefault(category if kind == "flag" else "cover", []).append(term)
            _shelf.flags, _shelf.allows = Keywords(groups["flag"]), Keywords(groups["allow"], pinyin=False)
            _shelf.key = repr(found)
        _shelf.at = time.monotonic()
        return _shelf
