"""`manage.py rotate_tenant_key`: a new data key for one tenant or for all, while everything goes on."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from easel.crypto import CryptoError
from easel.database import platform_role, rows
from easel.key_providers import KeyProviderUnavailable
from tenants.rotation import SETTLE_SECONDS, RotatedElsewhere, rotate_tenant


class Command(BaseCommand):
    help = "Give a tenant a new data key and seal its values anew. Interrupted, run it again: it goes on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--tenant", help="its slug")
        which.add_argument("--all", action="store_true", help="every tenant, one after the other")
        parser.add_argument(
            "--settle", type=float, default=SETTLE_SECONDS, help="seconds in which every process hears of a new key"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            found = rows(
                "SELECT id, slug FROM tenants_tenant WHERE length(data_key) > 0 AND (%s::text IS NULL OR slug = %s) "
                "ORDER BY id",
                [options["tenant"], options["tenant"]],
            )
            if not found:
                raise CommandError(f"There is no tenant {options['tenant']!r} with a key.")
            unfinished = [slug for tenant_id, slug in found if not self._rotate(tenant_id, slug, options["settle"])]
        if unfinished:
            raise CommandError(f"Not done to the end, see above: {', '.join(unfinished)}.")

    def _rotate(self, tenant_id: UUID, slug: str, settle: float) -> bool:
        """Whether only the new key is left. What goes wrong with one tenant is no reason to leave the others."""
        try:
            done = rotate_tenant(tenant_id, settle=settle, report=self.stdout.write)
        except (CryptoError, KeyProviderUnavailable, DatabaseError, RotatedElsewhere) as error:
            self.stderr.write(f"{slug}: {error}")
            return False
        self.stdout.write(f"{slug}: done, {done.sealed_anew} values sealed anew.")
        for value in done.unreadable:
            self.stderr.write(f"{slug}: no key opens {value}. It stays as it is, and the older keys stay, too.")
        return not done.unreadable
