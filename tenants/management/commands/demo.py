"""`manage.py demo`: the demo tenant and its credentials."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from easel.database import platform_role
from tenants.demo import prepare


class Command(BaseCommand):
    help = "Make the demo tenant (once) and write its credentials to a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--base-url", required=True)
        parser.add_argument("--staff-url", required=True)
        parser.add_argument("--out", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            prepare(options["out"], base_url=options["base_url"], staff_url=options["staff_url"])
        self.stdout.write(f"The demo's credentials are in {options['out']}.")
