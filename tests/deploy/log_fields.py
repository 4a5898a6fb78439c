"""What is wrong with a log line for the index that deploy/elk makes: unknown fields, and values that do not fit."""

import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from deploy.elk.fields import FIELDS

# Elasticsearch refuses a whole document for one value of another type.
FITS: Final[Mapping[str, Callable[[Any], object]]] = {
    "date": lambda value: isinstance(value, str) and datetime.fromisoformat(value),
    "keyword": lambda value: isinstance(value, str | int | float),
    "match_only_text": lambda value: isinstance(value, str),
    "wildcard": lambda value: isinstance(value, str),
    "long": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31,
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "ip": lambda value: isinstance(value, str) and ipaddress.ip_address(value),
}


def faults(line: Mapping[str, Any]) -> Iterator[str]:
    for name, value in _flat(line):
        if name not in FIELDS:
            yield f"{name} is in no table"
            continue
        for each in value if isinstance(value, list) else [value]:
            if each is not None and not _fits(FIELDS[name], each):
                yield f"{name} is no {FIELDS[name]}: {each!r}"


def faults_of(log: Path) -> dict[str, str]:
    """Each fault of a process's log once, with a line that has it. A line that is no JSON is one, too."""
    found: dict[str, str] = {}
    for text in log.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            found["a line is no JSON"] = text
            continue
        for fault in faults(line):
            found[fault] = text
    return found


def _flat(line: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in line.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _fits(kind: str, value: Any) -> bool:
    try:
        return bool(FITS[kind](value))
    except ValueError:
        return False
