"""`manage.py check_migrations`: refuses schema changes that the release before could not live with."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.migrations.loader import MigrationLoader

from easel import __version__
from easel.migration_rules import APPS, RELEASED, faults, released


class Command(BaseCommand):
    help = "Fail where a migration since the last release is unsafe while the old processes still run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--release", action="store_true", help="note that all migrations there are are released")

    def handle(self, *args: Any, **options: Any) -> None:
        loader = MigrationLoader(None)
        ours = sorted(".".join(key) for key in loader.graph.nodes if key[0] in APPS)
        if options["release"]:
            head = f"# The migrations of {__version__}, one a line; manage.py check_migrations --release.\n"
            RELEASED.write_text(head + "\n".join(ours) + "\n")
            return
        before = released()
        found = list(faults(loader, before=before))
        if found:
            raise CommandError(
                "\n".join(map(str, found))
                + '\nIf it must be, say why in the migration (unsafe_because = "…") and in the upgrade notes.'
            )
        self.stdout.write(f"{len(set(ours) - before)} migrations since the last release are safe to run under load.")
