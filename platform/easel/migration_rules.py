"""Which schema changes may run while the release before still serves (docs/operations.md, "Changing tables").

New processes come one by one, after the migration: for some minutes the old code reads and writes the new tables. So
a change may neither take away what old code names, nor ask of its INSERTs what it does not know, nor hold a lock for as
long as a table is large. What a release needs in two steps is done in two releases.

A table that the last release did not have is nobody's yet: anything may be done to it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED, Field

RELEASED: Final = Path(__file__).with_name("released_migrations.txt")
APPS: Final = ("tenants", "billing", "moderation", "generation")
# A migration may say `unsafe_because = "…"`: somebody has thought of it, and the upgrade notes speak of it.
EXCUSE: Final = "unsafe_because"

_SQL: Final = (
    (r"\bdrop\s+(table|column)\b", "takes away what the old release may name"),
    (r"\brename\s+(column|to)\b", "renames what the old release names"),
    (r"\balter\s+column\s+\S+\s+(set\s+data\s+)?type\b", "may rewrite the table under an exclusive lock"),
    (r"\bset\s+not\s+null\b", "reads the whole table under an exclusive lock"),
    (r"\bcreate\s+(unique\s+)?index\s+(?!concurrently)", "stops writes while the index is built: say CONCURRENTLY"),
    (r"\badd\s+constraint\b(?!.*\bnot\s+valid\b)", "reads the whole table under a lock: say NOT VALID"),
    (r"\b(lock\s+table|vacuum\s+full|cluster)\b", "locks out everybody"),
)


@dataclass(frozen=True, order=True)
class Fault:
    migration: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.migration}: {self.what} {self.why}."


def released() -> set[str]:
    """`app.name` of every migration of the last release."""
    return {line for line in RELEASED.read_text().splitlines() if line and not line.startswith("#")}


def faults(loader: MigrationLoader, *, before: Iterable[str]) -> Iterator[Fault]:
    """Of all migrations of our apps that are not in `before`, in the order they run."""
    known = set(before)
    state = ProjectState()
    old_tables: set[tuple[str, str]] = set()  # app and model
    for key in _in_order(loader):
        migration = loader.graph.nodes[key]
        name = ".".join(key)
        if key[0] in APPS and name not in known and not getattr(migration, EXCUSE, ""):
            yield from judged(migration, state, old_tables)
        state = migration.mutate_state(state, preserve=False)
        if name in known:
            old_tables |= set(state.models)


def judged(migration: Migration, state: ProjectState, old_tables: set[tuple[str, str]]) -> Iterator[Fault]:
    """`state` is before it; only `old_tables` have anybody who would mind."""
    name = f"{migration.app_label}.{migration.name}"
    for operation in migration.operations:
        for why in _why_not(operation, migration.app_label, state, old_tables):
            yield Fault(name, operation.describe(), why)


def _why_not(operation: Operation, app: str, state: ProjectState, old_tables: set[tuple[str, str]]) -> Iterator[str]:
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from _why_not(inner, app, state, old_tables)
        return
    if isinstance(operation, migrations.RunSQL):
        yield from _sql(operation, app, state, old_tables)
        return
    words = ("model_name", "old_name", "name")
    model = next((str(found).lower() for word in words if (found := vars(operation).get(word))), "")
    if (app, model) in old_tables:
        yield from _on_old_table(operation, state.models[app, model].fields)


def _on_old_table(operation: Operation, fields: Mapping[str, "Field[Any, Any]"]) -> Iterator[str]:
    match operation:
        case migrations.RemoveField() | migrations.DeleteModel():
            yield "takes away what the old release reads: stop using it in one release, remove it in the next"
        case migrations.RenameField() | migrations.RenameModel() | migrations.AlterModelTable():
            yield "renames what the old release names: add, copy, and remove in later releases"
        case migrations.AddField(field=field):
            if not field.null and not field.many_to_many and field.db_default is NOT_PROVIDED:
                yield "is asked of INSERTs that the old release writes without it: null=True or db_default"
        case migrations.AlterField(name=name, field=field):
            yield from _altered(fields[name], field)
        case AddIndexConcurrently() | AddConstraintNotValid():
            return
        case migrations.AddIndex():
            yield "stops writes while the index is built: AddIndexConcurrently, in a migration with atomic = False"
        case migrations.AddConstraint():
            yield "reads the whole table under a lock: AddConstraintNotValid, then ValidateConstraint"
        case migrations.AlterUniqueTogether():
            yield "builds an index under a lock: a unique index CONCURRENTLY"


def _altered(before: "Field[Any, Any]", after: "Field[Any, Any]") -> Iterator[str]:
    if before.null and not after.null:
        yield "reads the whole table under an exclusive lock, and refuses what the old release writes"
    narrower = (before.max_length or 0) > (after.max_length or before.max_length or 0)
    if before.get_internal_type() != after.get_internal_type() or narrower:
        yield "may rewrite the table under an exclusive lock: a new column, filled and taken over in steps"


def _sql(
    operation: migrations.RunSQL, app: str, state: ProjectState, old_tables: set[tuple[str, str]]
) -> Iterator[str]:
    """By words, and only statements that name a table which the last release had."""
    tables = {(state.models[key].options.get("db_table") or "_".join(key)) for key in old_tables if key in state.models}
    for statement in _statements(operation.sql):
        plain = re.sub(r"\s+", " ", statement.lower())
        if not any(re.search(rf"\b{table}\b", plain) for table in tables):
            continue
        for pattern, why in _SQL:
            if re.search(pattern, plain):
                yield f"({plain[:60]}) {why}"


def _statements(sql: object) -> Iterator[str]:
    if isinstance(sql, str):
        yield from sql.split(";")
    elif isinstance(sql, list | tuple):
        for each in sql:
            yield from _statements(each[0] if isinstance(each, list | tuple) else each)


def _in_order(loader: MigrationLoader) -> list[tuple[str, str]]:
    ordered: dict[tuple[str, str], None] = {}
    for leaf in sorted(loader.graph.leaf_nodes()):
        ordered.update(dict.fromkeys(loader.graph.forwards_plan(leaf)))
    return list(ordered)
