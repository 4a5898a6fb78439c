"""Which Postgres role the current unit of work runs under.

Each role is a `DATABASES` alias of its own: `default` (easel_app, the customer web), `platform` (easel_platform:
workers, clock, staff) and `owner` (migrations only). The process's kind decides (`settings.DATABASE_ALIAS`);
`platform_role()` switches for a block where a process holds both, as the test suite does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.expressions import DatabaseDefault
from django.db.transaction import Atomic

Row = TypeVar("Row", bound=models.Model)

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


def planned(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """The same as `rows`, for statements of the hot paths: planned once for a connection instead of each time."""
    session = connection()
    session.ensure_connection()
    with CursorWrapper(_PlannedOnce(session.connection), session) as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def insert(row: models.Model) -> None:
    """`row.save(force_insert=True)` for the hot paths: the statement is put together once for a model, and planned once
    for a connection. Sends no signals; what the database fills in is set on the row."""
    session = connection()
    fields = row._meta.local_concrete_fields
    left = tuple(field for field in fields if isinstance(getattr(row, field.attname), DatabaseDefault))
    given = {
        str(field.column): field.get_db_prep_save(field.pre_save(row, True), session)
        for field in fields
        if field not in left
    }
    found = planned(_insertion(row._meta.db_table, tuple(given), tuple(str(field.column) for field in left)), given)
    for field, value in zip(left, converted(left, found[0] if left else ()), strict=True):
        setattr(row, field.attname, value)
    row._state.adding, row._state.db = False, session.alias


def converted(fields: "Sequence[models.Field[Any, Any]]", values: Sequence[Any]) -> list[Any]:
    """What the database yields for these columns, as their fields have it."""
    session = connection()
    kept = list(values)
    for place, field in enumerate(fields):
        for convert in field.get_db_converters(session):
            kept[place] = convert(kept[place], None, session)
    return kept


@cache
def _insertion(table: str, given: tuple[str, ...], left: tuple[str, ...]) -> str:
    """Names come from our own models."""
    columns, values = ", ".join(f'"{name}"' for name in given), ", ".join(f"%({name})s" for name in given)
    returning = "RETURNING " + ", ".join(f'"{name}"' for name in left) if left else ""
    return f'INSERT INTO "{table}" ({columns}) VALUES ({values}) {returning}'  # noqa: S608


def row_of(model: type[Row], values: Sequence[Any]) -> Row:
    """An instance, from the values of all its columns in the order of `columns_of`."""
    fields = model._meta.local_concrete_fields
    return model.from_db(current_alias(), [field.attname for field in fields], converted(fields, values))


def columns_of(model: type[models.Model], *, of: str = "") -> str:
    """To SELECT or RETURN them; `of` is the table's name in the statement."""
    prefix = f"{of}." if of else ""
    return ", ".join(f"{prefix}{field.column}" for field in model._meta.local_concrete_fields)


def together(statements: Sequence[str], parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run several statements in one round trip and one transaction, each planned once for a connection; what the last
    one yields. Each sees what was committed before it began, so that one that follows a lock sees what the lock waited
    for. For the few that are large enough for their planning to cost more than their work. One that fails takes the
    whole transaction around it along."""
    with transaction.atomic(using=current_alias(), savepoint=False):
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
