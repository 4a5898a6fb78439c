"""`manage.py create_tenant`: a workspace where people do not make their own."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.database import platform_role
from tenants import founding
from tenants.audit import SYSTEM
from tenants.models import Tenant, User


class Command(BaseCommand):
    help = "Make a tenant with its first owner, who has an account. It starts as those do that people make themselves."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--owner", required=True, metavar="ADDRESS")

    def handle(self, *args: Any, **options: Any) -> None:
        name, longest = options["name"].strip(), Tenant._meta.get_field("name").max_length or 0
        if not 1 <= len(name) <= longest:
            raise CommandError(f"A name has 1 to {longest} characters.")
        with platform_role():
            owner = User.objects.filter(
                email__iexact=options["owner"], is_active=True, is_staff=False, is_superuser=False
            ).first()
            if owner is None:
                raise CommandError("There is no person of this address, or they are staff or locked.")
            tenant = founding.found(name, owner=owner, actor=SYSTEM)
        self.stdout.write(tenant.slug)
