"""`manage.py restore FOLDER`: asks for the platform key of the backup, unless this place has the same."""

import getpass
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from psycopg import OperationalError

from easel.crypto import CryptoError, KeyRing
from easel.key_providers import KeyProvider, KeyProviderUnavailable, LocalKeys
from tenants import escrow
from tenants.backup import backup, postgres
from tenants.backup.manifest import Manifest
from tenants.backup.restore import Empty, NotEmpty, Restored, restore

MISHAPS = (
    CryptoError, Empty, ImproperlyConfigured, KeyProviderUnavailable, NotEmpty, OSError, OperationalError,
    escrow.EscrowUnavailable, postgres.ProgramFailed,
)  # fmt: skip
WRONG = "This platform key does not open the backup."


class Command(BaseCommand):
    help = "Restore a backup into an empty database and bucket. Stop Easel's own processes first."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="of all backups (the newest is taken), or of one")
        parser.add_argument("--escrow", type=Path, default=None, help="the key escrow; by default EASEL_KEY_ESCROW")
        parser.add_argument(
            "--objects", action="store_true", help="the objects alone, where the same backup was restored before"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"].resolve()
        place = folder if (folder / "manifest.json").exists() else backup.newest(folder)
        if place is None:
            raise CommandError(f"There is no whole backup in {folder}.")
        try:
            kept = escrow.read(options["escrow"] or Path(settings.KEY_ESCROW))
            done = restore(
                place, escrow=kept, holder=_holder(place), only_objects=options["objects"], report=self.stdout.write
            )
        except MISHAPS as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_summary(done, only_objects=options["objects"]))
        if done.objects.failed:
            for object_key, why in done.objects.failed.items():
                self.stderr.write(f"{object_key}: {why}")
            raise CommandError(
                f"{len(done.objects.failed)} objects were not restored, see above. Mend their copies or the store, and "
                "run restore --objects."
            )


def _summary(done: Restored, *, only_objects: bool) -> str:
    objects, tenants = done.objects, "" if only_objects else f"{done.tenants} tenants and "
    said = [f"Restored {tenants}{objects.done} objects."]
    if done.erased_since:
        said.append(f"Erased since, and back without their key: {', '.join(done.erased_since)}.")
    if objects.erased:
        said.append(f"{objects.erased} objects of erased tenants were left.")
    if objects.unnamed:
        said.append(f"{objects.unnamed} objects that no row needs were left.")
    return " ".join(said)


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
