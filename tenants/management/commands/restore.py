"""`manage.py restore FOLDER`: asks for the platform key of the backup, unless this place has the same."""

import getpass
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from easel.crypto import CryptoError, KeyRing
from easel.key_providers import KeyProvider, LocalKeys
from tenants import escrow
from tenants.backup import backup, postgres
from tenants.backup.manifest import Manifest
from tenants.backup.restore import NotEmpty, restore

WRONG = "This platform key does not open the backup."


class Command(BaseCommand):
    help = "Restore a backup into an empty database and bucket. Stop Easel's own processes first."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="of all backups (the newest is taken), or of one")
        parser.add_argument("--escrow", type=Path, default=None, help="the key escrow; by default EASEL_KEY_ESCROW")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        place = folder if (folder / "manifest.json").exists() else backup.newest(folder)
        if place is None:
            raise CommandError(f"There is no whole backup in {folder}.")
        try:
            kept = escrow.read(options["escrow"] or Path(settings.KEY_ESCROW))
            done = restore(place, escrow=kept, holder=_holder(place), report=self.stdout.write)
        except (NotEmpty, CryptoError, postgres.ProgramFailed, escrow.EscrowUnavailable, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Restored {done.tenants} tenants and {done.objects} objects. {done.without_key} tenants were erased since "
            f"and came back without their key, {done.objects_left} objects of theirs not at all."
        )


def _holder(place: Path) -> KeyProvider | None:
    """None where the provider of this place opens the backup; or else whoever answers with the right key."""
    try:
        Manifest.read(place, None)
    except (CryptoError, ImproperlyConfigured):
        holder = LocalKeys(KeyRing.parse(_asked(), name="The platform key"))
    else:
        return None
    try:
        Manifest.read(place, holder)
    except CryptoError as error:
        raise CommandError(WRONG) from error
    return holder


def _asked() -> list[str]:
    question = "Platform key of the backup (id:base64, several with commas): "
    answer = getpass.getpass(question) if sys.stdin.isatty() else sys.stdin.readline()
    return [word.strip() for word in answer.split(",") if word.strip()]
