"""`manage.py certificate`: who signs pictures."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.database import platform_role
from generation import authority
from tenants.models import Tenant


class Command(BaseCommand):
    help = "Without a chain: print our roots. With one: sign with it from now on (workers notice within ten minutes)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--chain", type=Path, help="PEM, the signer's own certificate first")
        parser.add_argument("--key", type=Path, help="PEM, PKCS 8, P-256")
        parser.add_argument("--root", type=Path, help="PEM: trust pictures under this root, too")
        parser.add_argument("--tenant", help="slug: for pictures of this tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            if options["chain"] is None:
                self.stdout.write(authority.anchors())
                return
            if options["key"] is None:
                raise CommandError("--chain needs --key.")
            tenant = Tenant.objects.filter(slug=options["tenant"]).first() if options["tenant"] else None
            if options["tenant"] and tenant is None:
                raise CommandError(f"There is no tenant {options['tenant']!r}.")
            root = options["root"].read_bytes() if options["root"] else None
            try:
                installed = authority.install(
                    options["chain"].read_bytes(),
                    options["key"].read_bytes(),
                    tenant_id=tenant.id if tenant else None,
                    root=root,
                )
            except ValueError as error:
                raise CommandError(str(error)) from error
        self.stdout.write(f"{installed.name} signs until {installed.expires_at:%Y-%m-%d}.")
