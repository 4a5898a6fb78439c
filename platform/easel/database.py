"""Which Postgres role the current unit of work runs under.

Each role is a `DATABASES` alias of its own: `default` (easel_app, the customer web), `platform` (easel_platform:
workers, clock, staff) and `owner` (migrations only). The process's kind decides (`settings.DATABASE_ALIAS`);
`platform_role()` switches for a block where a process holds both, as the test suite does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar, overload

import psycopg
from django.conf import settings
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.expressions import DatabaseDefault
from django.db.transaction import Atomic

Row = TypeVar("Row", bound=models.Model)
Answer = TypeVar("Answer")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

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
        return _yielded(cursor)


def insert(row: models.Model) -> None:
    """`row.save(force_insert=True)` for the hot paths: the statement is put together once for a model, and planned once
    for a connection. Sends no signals; what the database fills in is set on the row."""
    inserting(row).ask()


def inserting(row: models.Model) -> "Question[None]":
    """The same, to be asked with others. What is NULL anyway is left out, so that a wide row stays below the number of
    parameters up to which psycopg remembers how a statement was taken apart."""
    session = connection()
    given: dict[str, Any] = {}
    left: list[models.Field[Any, Any]] = []
    for field in row._meta.local_concrete_fields:
        if isinstance(getattr(row, field.attname), DatabaseDefault):
            left.append(field)
        elif (value := field.pre_save(row, True)) is not None or field.has_db_default():
            given[str(field.column)] = field.get_db_prep_save(value, session)

    def read(found: list[tuple[Any, ...]]) -> None:
        for field, value in zip(left, converted(left, found[0] if left else ()), strict=True):
            setattr(row, field.attname, value)
        row._state.adding, row._state.db = False, session.alias

    return Question(_insertion(row._meta.db_table, tuple(given), tuple(str(each.column) for each in left)), given, read)


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
    session, kept = connection(), list(values)
    names, converters = _shape(model)
    for place, convert in converters:
        kept[place] = convert(kept[place], None, session)
    return model.from_db(session.alias, names, kept)


@cache
def _shape(model: type[models.Model]) -> tuple[list[str], list[tuple[int, Callable[..., Any]]]]:
    """Its attributes, and what has to be done with the values of which columns."""
    fields = model._meta.local_concrete_fields
    converters = [
        (place, convert) for place, field in enumerate(fields) for convert in field.get_db_converters(connection())
    ]
    return [field.attname for field in fields], converters


def columns_of(model: type[models.Model], *, of: str = "") -> str:
    """To SELECT or RETURN them; `of` is the table's name in the statement."""
    prefix = f"{of}." if of else ""
    return ", ".join(f"{prefix}{field.column}" for field in model._meta.local_concrete_fields)


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """A statement of a hot path, and what the rows it yields mean. Several can be asked in one round trip."""

    sql: str
    parameters: Sequence[Any] | dict[str, Any]
    read: Callable[[list[tuple[Any, ...]]], Answer]

    def ask(self) -> Answer:
        return self.read(planned(self.sql, self.parameters))


@overload
def answers(first: Question[A], second: Question[B], /) -> tuple[A, B]: ...
@overload
def answers(first: Question[A], second: Question[B], third: Question[C], /) -> tuple[A, B, C]: ...
@overload
def answers(
    first: Question[A], second: Question[B], third: Question[C], fourth: Question[D], /
) -> tuple[A, B, C, D]: ...
@overload
def answers(*questions: Question[Any]) -> tuple[Any, ...]: ...
def answers(*questions: Question[Any]) -> tuple[Any, ...]:
    """All of them, asked in one round trip and one transaction, and read in their order. None depends on what another
    yields; each sees what was committed before it began, and what those before it have done. One whose statement fails
    takes the whole transaction around it along."""
    with transaction.atomic(using=current_alias(), savepoint=False):
        session = connection()
        with session.wrap_database_errors, session.connection.pipeline():
            cursors = [CursorWrapper(_PlannedOnce(session.connection), session) for _ in questions]
            for cursor, question in zip(cursors, questions, strict=True):
                cursor.execute(question.sql, question.parameters)
        found = [_yielded(cursor) for cursor in cursors]
        for cursor in cursors:
            cursor.close()
    return tuple(question.read(rows_) for question, rows_ in zip(questions, found, strict=True))


def together(statements: Sequence[str], parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """`answers` for statements that share their parameters, where the last one's rows are all that matters: one that
    follows a lock sees what the lock waited for."""
    found: list[tuple[Any, ...]] = answers(*(Question(each, parameters, list) for each in statements))[-1]
    return found


def _yielded(cursor: CursorWrapper) -> list[tuple[Any, ...]]:
    """Asks the result itself whether it has columns: `description` would describe each of them."""
    result = cursor.pgresult
    return list(cursor.fetchall()) if result is not None and result.nfields else []


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
