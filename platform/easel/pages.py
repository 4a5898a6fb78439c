"""Pages of a list, newest first, by an opaque cursor: the id of the last one seen. Ids grow with time."""

import base64
import binascii
from collections.abc import Collection
from typing import Any, Final, TypeVar
from uuid import UUID

from django.http import QueryDict

from easel.problems import invalid

MOST: Final = 100
USUAL: Final = 20
LONGEST_NUMBER: Final = 18  # digits: what a bigint holds

Row = TypeVar("Row", bound=Any)


def only(parameters: QueryDict, known: Collection[str]) -> None:
    """A parameter that nobody reads is a mistake that would stay unseen."""
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise invalid(unknown[0], "unknown_field", f"There is no parameter {unknown[0]!r}.")


def limit_of(parameters: QueryDict) -> int:
    text = parameters.get("limit", str(USUAL))
    number = whole(text)
    if number is None or not 1 <= number <= MOST:
        raise invalid("limit", "out_of_range", f"From 1 to {MOST}.")
    return number


def whole(text: str) -> int | None:
    """The number that a parameter spells, None for what is none. Python itself refuses to read thousands of digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else None


def cursor_of(parameters: QueryDict) -> UUID | None:
    """Where the page begins; None for the first one."""
    cursor = parameters.get("cursor", "")
    try:
        return UUID(bytes=base64.urlsafe_b64decode(f"{cursor}==")) if cursor else None
    except (binascii.Error, ValueError) as error:
        raise invalid("cursor", "invalid_cursor", "This is no cursor of ours; take next_cursor as it came.") from error


def page_of(found: list[Row], limit: int) -> tuple[list[Row], str | None]:
    """What fits, of up to `limit + 1` rows, and the cursor of the next page if there is one."""
    if len(found) <= limit:
        return found, None
    return found[:limit], cursor_text(found[limit - 1].id)


def cursor_text(last: UUID) -> str:
    """The cursor of what comes after this id."""
    return base64.urlsafe_b64encode(last.bytes).rstrip(b"=").decode()
