"""A migration that the running release could not live with is refused, and each refusal says what to do instead."""

from collections.abc import Sequence

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management import CommandError, call_command
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from easel import migration_rules
from easel.migration_rules import APPS, RELEASED, faults, judged, released

OLD = {("generation", "job")}


def state() -> ProjectState:
    made = ProjectState()
    migrations.CreateModel(
        "Job",
        [
            ("id", models.IntegerField(primary_key=True)),
            ("note", models.CharField(max_length=64, null=True)),
        ],
    ).state_forwards("generation", made)
    return made


def refusals(*operations: Operation, old: set[tuple[str, str]] = OLD) -> list[str]:
    migration = Migration("0042_test", "generation")
    migration.operations = list(operations)
    return [fault.why for fault in judged(migration, state(), old)]


REFUSED: Sequence[tuple[Operation, str]] = [
    (migrations.RemoveField("job", "note"), "remove it in the next"),
    (migrations.DeleteModel("Job"), "remove it in the next"),
    (migrations.RenameField("job", "note", "remark"), "add, copy"),
    (migrations.RenameModel("Job", "Task"), "add, copy"),
    (migrations.AddField("job", "size", models.IntegerField(default=0)), "db_default"),
    (migrations.AlterField("job", "note", models.CharField(max_length=64)), "reads the whole table"),
    (migrations.AlterField("job", "note", models.IntegerField(null=True)), "new column"),
    (migrations.AlterField("job", "note", models.CharField(max_length=8, null=True)), "new column"),
    (migrations.AddIndex("job", models.Index(fields=["note"], name="job_note")), "AddIndexConcurrently"),
    (
        migrations.AddConstraint("job", models.UniqueConstraint(fields=["note"], name="job_one_note")),
        "AddConstraintNotValid",
    ),
    (migrations.RunSQL("ALTER TABLE generation_job DROP COLUMN note"), "takes away"),
    (migrations.RunSQL("CREATE INDEX job_note ON generation_job (note)"), "CONCURRENTLY"),
    (migrations.RunSQL([("ALTER TABLE generation_job ALTER note SET NOT NULL", None)]), "reads the whole table"),
    (migrations.RunSQL("ALTER TABLE generation_job ADD CONSTRAINT c CHECK (note <> '')"), "NOT VALID"),
    (
        migrations.SeparateDatabaseAndState(database_operations=[migrations.DeleteModel("Job")]),
        "remove it in the next",
    ),
]
SAFE: Sequence[Operation] = [
    migrations.AddField("job", "size", models.IntegerField(null=True)),
    migrations.AddField("job", "size", models.IntegerField(db_default=0)),
    migrations.AlterField("job", "note", models.CharField(max_length=128, null=True)),
    AddIndexConcurrently("job", models.Index(fields=["note"], name="job_note")),
    migrations.RunSQL("CREATE INDEX CONCURRENTLY job_note ON generation_job (note)"),
    migrations.RunSQL("ALTER TABLE generation_job ADD CONSTRAINT c CHECK (note <> '') NOT VALID"),
    migrations.CreateModel("Other", [("id", models.IntegerField(primary_key=True))]),
    migrations.RunSQL("DROP TABLE generation_other"),
]


@pytest.mark.parametrize(("operation", "why"), REFUSED, ids=lambda each: str(getattr(each, "describe", str)())[:40])
def test_what_the_old_release_could_not_live_with_is_refused(operation: Operation, why: str) -> None:
    (said,) = refusals(operation)
    assert why in said


@pytest.mark.parametrize("operation", SAFE, ids=lambda operation: operation.describe()[:40])
def test_what_it_does_not_notice_is_let_through(operation: Operation) -> None:
    assert refusals(operation) == []


@pytest.mark.parametrize(("operation", "why"), REFUSED, ids=lambda each: str(getattr(each, "describe", str)())[:40])
def test_a_table_that_was_never_released_is_nobodys(operation: Operation, why: str) -> None:
    assert refusals(operation, old=set()) == []


def test_the_command_passes_and_judges_only_what_came_since_the_last_release(monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("check_migrations", verbosity=0)
    loader = MigrationLoader(None)
    ours = {".".join(key) for key in loader.graph.nodes if key[0] in APPS}
    assert released() <= ours, f"{RELEASED.name} names migrations that there are not"
    # Had the first migrations been a release, what they were followed by would be looked at, and found wanting.
    first = {name for name in ours if name.endswith("0001_initial")}
    late = list(faults(loader, before=first))
    assert late
    monkeypatch.setattr(migration_rules, "released", lambda: first)
    monkeypatch.setattr("easel.management.commands.check_migrations.released", lambda: first)
    with pytest.raises(CommandError, match="unsafe_because"):
        call_command("check_migrations")


def test_a_migration_that_says_why_is_let_through() -> None:
    loader = MigrationLoader(None)
    ours = {".".join(key) for key in loader.graph.nodes if key[0] in APPS}
    first = {name for name in ours if name.endswith("0001_initial")}
    named = {fault.migration for fault in faults(loader, before=first)}
    for name in named:
        app, _, rest = name.partition(".")
        loader.graph.nodes[(app, rest)].unsafe_because = "nobody runs it yet"
    assert list(faults(loader, before=first)) == []
