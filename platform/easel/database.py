"""Which Postgres role the current unit of work runs under.

Each role is a `DATABASES` alias of its own: `default` (easel_app, the customer web), `platform` (easel_platform:
workers, clock, staff) and `owner` (migrations only). The process's kind decides (`settings.DATABASE_ALIAS`);
`platform_role()` switches for a block where a process holds both, as the test suite does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.transaction import Atomic

_alias: ContextVar[str | None] = ContextVar("database_alias", default=None)


def current_alias() -> str:
    return _alias.get() or str(settings.DATABASE_ALIAS)


def on_platform() -> bool:
    """Whether the current role sees every tenant's rows."""
    return current_alias() == "platform"


@contextmanager
def platform_role() -> Iterator[None]:
    """Work under `easel_platform`. Where the process has no such password, the first query finds no connection."""
    token = _alias.set("platform")
    try:
        yield
    finally:
        _alias.reset(token)


def connection() -> BaseDatabaseWrapper:
    return connections[current_alias()]


def atomic() -> Atomic:
    return transaction.atomic(using=current_alias())


def on_commit(act: Callable[[], object]) -> None:
    transaction.on_commit(act, using=current_alias())


def rows(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement under the current role and return what it yields."""
    with connection().cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def changed(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
    """Run one UPDATE, INSERT or DELETE and return how many rows it touched."""
    with connection().cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def together(statements: Sequence[str], parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run several statements in one round trip and one transaction, each planned once for a connection; what the last
    one yields. Each sees what was committed before it began, so that one that follows a lock sees what the lock waited
    for. For the few that are large enough for their planning to cost more than their work."""
    with atomic():
        session = connection()
        with session.wrap_database_errors, session.connection.pipeline():
            cursors = [CursorWrapper(_PlannedOnce(session.connection), session) for _ in statements]
            for cursor, statement in zip(cursors, statements, strict=True):
                cursor.execute(statement, parameters)
        found: list[tuple[Any, ...]] = cursors[-1].fetchall()
        for cursor in cursors:
            cursor.close()
        return found


class _PlannedOnce(psycopg.Cursor[Any]):
    """Parameters go beside the statement instead of into it, and the server keeps its plan."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> "_PlannedOnce":
        return super().execute(query, params, prepare=settings.DATABASE_PREPARES, **options)


class AmbientRole:
    """Database router: every query goes to the current role's alias; only the owner's is migrated."""

    def db_for_read(self, model: object, **hints: object) -> str:
        return current_alias()

    def db_for_write(self, model: object, **hints: object) -> str:
        return current_alias()

    def allow_relation(self, first: object, second: object, **hints: object) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:
        return db == "owner"
