"""`manage.py storage_lifecycle`: what the store itself clears away."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.storage import S3Storage, StorageError, storage


class Command(BaseCommand):
    help = (
        "Let the store forget old versions of deleted objects and unfinished uploads after a day, and, if asked, "
        "every object after so many days, as a net below the retention."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--expire-days", type=int, help="longer than any plan keeps images")

    def handle(self, *args: Any, **options: Any) -> None:
        store = storage()
        days = options["expire_days"]
        if not isinstance(store, S3Storage):
            raise CommandError("This store has no lifecycle.")
        if days is not None and days < 1:
            raise CommandError("--expire-days takes a whole number from 1.")
        try:
            rules = store.set_lifecycle(prefix="t/", expire_days=days)
        except StorageError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Rules of the bucket: {', '.join(rules)}.")
