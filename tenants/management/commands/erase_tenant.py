"""`manage.py erase_tenant`: everything of a tenant, for good."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from easel.database import platform_role
from easel.key_providers import KeyProviderUnavailable
from easel.storage import StorageError
from tenants import receipts
from tenants.erasure import NotErasable, erase_tenant
from tenants.escrow import EscrowUnavailable
from tenants.lifecycle import NotYet
from tenants.models import Tenant


class Command(BaseCommand):
    help = "Destroy a tenant's key, delete its objects and rows, keep its books, and print a signed receipt."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", type=UUID, help="its id (a slug could be somebody else's tomorrow)")
        parser.add_argument("--confirm", required=True, help="its slug, or its id if it was begun before")

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            tenant = Tenant.objects.filter(id=options["tenant"]).first()
            if tenant is None or options["confirm"] not in {tenant.slug, str(tenant.id)}:
                raise CommandError("There is no tenant of this id and slug. Nothing was done.")
            try:
                receipt = erase_tenant(tenant.id, report=self.stderr.write)
            except NotErasable as error:
                raise CommandError(str(error)) from error
            except (NotYet, EscrowUnavailable, KeyProviderUnavailable, StorageError) as error:
                said = str(error).rstrip(".")
                raise CommandError(f"{said}. It is not done: run it again, and it goes on from here.") from error
            self.stderr.write(receipts.as_text(receipts.check(receipt)))
        self.stdout.write(receipt)
