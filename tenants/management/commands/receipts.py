"""`manage.py receipts`: check a receipt, or print the key others check it with."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.database import platform_role
from tenants import receipts


class Command(BaseCommand):
    help = "Without a file: the public key (JWK). With one, or - for the input: what the receipt in it states."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("receipt", nargs="?")

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            if options["receipt"] is None:
                self.stdout.write(json.dumps(receipts.public_key()))
                return
            try:
                text = sys.stdin.read() if options["receipt"] == "-" else Path(options["receipt"]).read_text()
                self.stdout.write(receipts.as_text(receipts.check(text)))
            except (OSError, UnicodeDecodeError, receipts.BadReceipt) as error:
                raise CommandError(str(error)) from error
