"""JSON as a body may be: one object in UTF-8 (RFC 8259), each key once, text a database can keep."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Final, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.parsers import BaseParser

DEEPEST: Final = 20
LONGEST_FIELD: Final = 200  # characters: a field's name comes from the client and goes back to it
MOST_VALUES: Final = 10_000  # in all, lists and objects among them; the largest body of ours has some 2,000
# Strings and what begins a value. A value has four at most: a comma or a bracket, its name, itself, its own bracket.
_MARK: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[{]', re.DOTALL)
_MARKS_A_VALUE: Final = 4

Path = tuple["Path", str | int] | None  # where a value lies: its parent's place and its name; None: the body


@dataclass(frozen=True, slots=True)
class FieldError:
    """One entry of a problem's `errors`: a field's dotted path (empty: the body), a code, a sentence."""

    field: str
    code: str
    detail: str


class Malformed(Exception):
    """The body is not JSON as it may be."""

    def __init__(self, field: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.error = FieldError(field[:LONGEST_FIELD], code, detail)


class StrictJSONParser(BaseParser):
    """DRF's parser for every endpoint; it reads no more than DATA_UPLOAD_MAX_MEMORY_SIZE bytes."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        largest = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(largest + 1)
        if len(body) > largest:
            raise RequestDataTooBig
        return read(body)


def read(body: bytes) -> dict[str, Any]:
    """The object in `body`, or Malformed with the field to blame."""
    _check_size(body)
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_each_key_once, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise Malformed("", "not_utf8", f"The body is not UTF-8 at byte {error.start}.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Malformed("", "not_json", f"The body is not JSON: {error.msg} at {where}.") from error
    except RecursionError as error:
        raise _too_deep("") from error
    except ValueError as error:  # an integer of thousands of digits, which Python refuses to read
        raise Malformed("", "number_too_large", "The body holds a number with too many digits.") from error
    if not isinstance(value, dict):
        raise Malformed("", "not_an_object", "The body must be a JSON object.")
    _Check().of(value)
    return value


def _check_size(body: bytes) -> None:
    """A body that must have too many values is not read at all: each takes many times its bytes in memory."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:  # of any of them, those inside of texts among them
        most = MOST_VALUES * _MARKS_A_VALUE
        if sum(1 for _ in islice(_MARK.finditer(body), most + 1)) > most:
            raise _too_many()


class _Check:
    """Looks at every value of one body."""

    def __init__(self) -> None:
        self._values = 0

    def of(self, value: object, path: Path = None, depth: int = 1) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            raise _too_many()
        if isinstance(value, str):
            _check_text(value, path)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise Malformed(_dotted(path), "number_too_large", "This number is too large.")
        elif isinstance(value, dict | list):
            if depth > DEEPEST:
                raise _too_deep(_dotted(path))
            for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(name, str):
                    _check_text(name, path)
                self.of(inner, (path, name), depth + 1)


def _dotted(path: Path) -> str:
    """`metadata.tags.1`. Made for a refusal alone: it would cost every value the names of all above it."""
    names: list[str] = []
    while path is not None:
        path, name = path
        names.append(str(name))
    return ".".join(reversed(names))


def _check_text(text: str, path: Path) -> None:
    if "\0" in text:
        raise Malformed(_dotted(path), "null_character", "Text may not hold the character U+0000.")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Malformed(_dotted(path), "lone_surrogate", "Text may not hold half of a surrogate pair.") from error


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for name, _ in pairs:
        if len(name) > LONGEST_FIELD:
            raise Malformed(name, "name_too_long", f"A field's name has at most {LONGEST_FIELD} characters.")
    once = dict(pairs)
    if len(once) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Malformed(name, "duplicate_field", "This field is given twice.")
            seen.add(name)
    return once


def _no_constant(word: str) -> NoReturn:
    raise Malformed("", "not_json", f"The body is not JSON: {word} is no JSON number.")


def _too_many() -> Malformed:
    return Malformed("", "too_many_values", f"The body holds more than {MOST_VALUES} values.")


def _too_deep(path: str) -> Malformed:
    return Malformed(path, "too_deep", f"The body is nested deeper than {DEEPEST} levels.")
