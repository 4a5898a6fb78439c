"""`manage.py audit_verify`: whether every chain of the audit log holds. Exit code 1 where one does not."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from easel.database import platform_role
from tenants import audit
from tenants.models import AuditRecord, Tenant


class Command(BaseCommand):
    help = "Recomputes the digests of the audit log, each tenant's chain and the platform's own."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", type=UUID, help="The id of one tenant; without it, all and the platform's own.")

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            chains = [options["tenant"]] if options["tenant"] else [None, *_tenants()]
            broken = {chain: place for chain in chains if (place := audit.first_break(chain)) is not None}
            for chain in chains:
                self.stdout.write(f"{chain or 'platform'}: {_told(chain, broken.get(chain))}")
        if broken:
            raise CommandError(f"{len(broken)} of {len(chains)} chains are broken.")


def _tenants() -> list[UUID]:
    return list(Tenant.objects.order_by("id").values_list("id", flat=True))


def _told(chain: UUID | None, place: int | None) -> str:
    if place is not None:
        return f"BROKEN at record {place}"
    last = AuditRecord.objects.filter(tenant_id=chain).order_by("-sequence").first()
    return f"intact, {last.sequence} records, last digest {bytes(last.digest).hex()}" if last else "empty"
