"""`manage.py forget_second_factors`: for somebody who lost their phone or their keys."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.database import platform_role
from tenants.models import User
from tenants.staff_door import forget_factors


class Command(BaseCommand):
    help = "Remove a person's second factors. Staff set up a new one at their next sign-in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            user = User.objects.filter(email__iexact=options["email"]).first()
            if user is None:
                raise CommandError("There is no person of this address.")
            count = forget_factors(user)
        self.stdout.write(f"Removed: {count}.")
