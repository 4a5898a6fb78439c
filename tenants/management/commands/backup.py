"""`manage.py backup FOLDER`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from psycopg import OperationalError

from easel.crypto import CryptoError
from easel.database import platform_role
from easel.key_providers import KeyProviderUnavailable
from easel.storage import StorageError
from tenants.backup import postgres
from tenants.backup.backup import AnotherIsRunning, backup
from tenants.backup.pruning import CannotPrune
from tenants.escrow import EscrowUnavailable

MISHAPS = (
    AnotherIsRunning, CannotPrune, CryptoError, EscrowUnavailable, ImproperlyConfigured, KeyProviderUnavailable,
    OperationalError, OSError, StorageError, postgres.ProgramFailed,
)  # fmt: skip


class Command(BaseCommand):
    help = "Back up Postgres and the objects into a folder, without any key that opens them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--keep", type=int, metavar="N", help="leave the newest N in the folder; without it, all")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["keep"] is not None and options["keep"] < 1:
            raise CommandError("--keep must be 1 or more.")
        with platform_role():
            try:
                backup(options["folder"], keep=options["keep"], report=self.stdout.write)
            except MISHAPS as error:
                raise CommandError(str(error)) from error
