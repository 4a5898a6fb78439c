"""`manage.py export_tenant`: everything of a tenant as one archive."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.crypto import CryptoError
from easel.database import platform_role
from easel.key_providers import KeyProviderUnavailable
from easel.storage import StorageError
from tenants.export import export_tenant
from tenants.models import Tenant


class Command(BaseCommand):
    help = "Write a tenant's data, prompts and pictures in clear, into a tar archive. Interrupted, run it again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="its slug")
        parser.add_argument("archive", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            tenant = Tenant.objects.filter(slug=options["tenant"]).first()
            if tenant is None:
                raise CommandError(f"There is no tenant {options['tenant']!r}.")
            try:
                export_tenant(tenant.id, options["archive"], report=self.stdout.write)
            except (CryptoError, KeyProviderUnavailable, OSError, StorageError) as error:
                raise CommandError(str(error)) from error
