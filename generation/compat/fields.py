"""Reading a request as a dialect writes it, and telling errors by the names that it uses."""

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any, Final

from rest_framework.exceptions import ValidationError

from easel.fields import MOST_UNKNOWN
from easel.problems import FieldError, Problem, as_problem, invalid

_NOTHING: Final[tuple[Any, ...]] = (None, False, "", [], {})  # 0, too


class Fields:
    """The fields of a body, taken one by one; a null is as good as none. What nobody took is refused in the end."""

    def __init__(self, sent: Mapping[str, Any], *, where: str = "") -> None:
        self._left = {name: value for name, value in sent.items() if value is not None}
        self._where = where

    def take(self, name: str, default: Any = None) -> Any:
        return self._left.pop(name, default)

    def take_as(self, *pairs: tuple[str, str]) -> dict[str, Any]:
        """Fields that only have another name here: (theirs, ours)."""
        return {ours: self._left.pop(theirs) for theirs, ours in pairs if theirs in self._left}

    def one_of(self, name: str, allowed: Collection[Any], because: str) -> Any:
        """A field that has to have one of these values, if it is there."""
        value = self._left.pop(name, None)
        if value is not None and not _among(value, allowed):
            raise self.refused(name, because)
        return value

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self._left.pop(name, default)
        if type(value) is not int or not least <= value <= most:
            raise self.refused(name, f"A whole number from {least} to {most}.")
        return value

    def none_left(self, because: str) -> None:
        """Refuse what is left, by name. What says nothing (false, "", 0, an empty list) asks for nothing."""
        named = islice((name for name, value in self._left.items() if not _among(value, _NOTHING)), MOST_UNKNOWN)
        wrong = {f"{self._where}{name}": [because] for name in named}
        if wrong:
            raise ValidationError(wrong, code="not_supported")

    def refused(self, name: str, because: str) -> Problem:
        return invalid(f"{self._where}{name}", "not_supported", because)


def told_as(names: Mapping[str, str], error: Exception) -> Exception:
    """The same error with fields named as the dialect names them."""
    problem = as_problem(error)
    if not problem.errors:
        return error
    errors = [FieldError(_renamed(each.field, names), each.code, each.detail) for each in problem.errors]
    first = errors[0]
    detail = f"{first.field}: {first.detail}" if first.field else first.detail
    told = Problem(
        problem.code, detail, status=problem.status, headers=problem.headers, errors=errors, extra=problem.extra,
        rehearsed=problem.rehearsed,
    )  # fmt: skip
    told.__cause__ = error
    return told


def _renamed(field: str, names: Mapping[str, str]) -> str:
    head, dot, rest = field.partition(".")
    return f"{names.get(head, head)}{dot}{rest}"


def _among(value: Any, allowed: Collection[Any]) -> bool:
    """Equal and of a kind: true is no 1 here, but 0 is as good as false."""
    return any(value == each and (isinstance(value, bool) <= isinstance(each, bool)) for each in allowed)
