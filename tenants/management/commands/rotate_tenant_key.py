"""`manage.py rotate_tenant_key`: a new data key for one tenant or for all, while everything goes on."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.database import platform_role, rows
from tenants.rotation import SETTLE_SECONDS, rotate_tenant


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
            for tenant_id, slug in found:
                count = rotate_tenant(tenant_id, settle=options["settle"], report=self.stdout.write)
                self.stdout.write(f"{slug}: done, {count} values sealed anew.")
