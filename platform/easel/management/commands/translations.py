"""`manage.py translations`: compile the texts of all languages, or bring the catalogs up to date with the source."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from easel import translations


class Command(BaseCommand):
    help = "Compile the catalogs of locale/ (what a started Easel needs), or update or check them (while developing)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--update", action="store_true", help="take up new texts, drop those that are gone")
        parser.add_argument("--check", action="store_true", help="say what is not translated")

    def handle(self, *args: Any, update: bool, check: bool, **options: Any) -> None:
        if update:
            for path in translations.update(settings.BASE_DIR):
                self.stdout.write(f"updated {path}")
        if check:
            template = translations.found(settings.BASE_DIR)
            problems = [
                f"{code}: {problem}"
                for code, path in translations.catalogs()
                for problem in translations.wrong(code, path, template)
            ]
            if problems:
                raise CommandError("\n".join(problems))
        for path in translations.compile_all():
            self.stdout.write(f"compiled {path}")
