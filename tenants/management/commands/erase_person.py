"""`manage.py erase_person`: an account and all that belongs to it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.database import platform_role
from tenants import receipts
from tenants.erasure import NotErasable, erase_person
from tenants.models import User


class Command(BaseCommand):
    help = "Delete a person's account, memberships and sessions, and print a signed receipt."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            user = User.objects.filter(email__iexact=options["email"]).first()
            if user is None:
                raise CommandError("There is no person of this address.")
            try:
                receipt = erase_person(user.id)
            except NotErasable as error:
                raise CommandError(str(error)) from error
            self.stderr.write(receipts.as_text(receipts.check(receipt)))
        self.stdout.write(receipt)
