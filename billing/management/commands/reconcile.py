"""`manage.py reconcile`: recompute the ledger and say every difference. Fails if there is one."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from billing import reconciliation
from easel.database import platform_role


class Command(BaseCommand):
    help = "Recompute wallets, lots, holds and usage from the entries, and report every difference."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", type=UUID, help="only this tenant, by its id")

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            found = reconciliation.run(tenant_id=options["tenant"])
        for check, differences in found.items():
            self.stdout.write(f"{check}: {len(differences) or 'no'} difference{'s' if len(differences) != 1 else ''}")
            for each in differences:
                self.stdout.write(f"  {each.tenant_id} {each.what}: {each.found}, expected {each.expected}")
        if any(found.values()):
            raise CommandError("The ledger does not add up.")
