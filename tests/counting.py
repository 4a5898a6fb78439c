"""Which statements a block of a test sends, by any role. BEGIN and COMMIT are not among them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections


@contextmanager
def queries() -> Iterator[list[str]]:
    statements: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with ExitStack() as stack:
        for alias in ("default", "platform"):
            stack.enter_context(connections[alias].execute_wrapper(note))
        yield statements
