"""`manage.py models_sync`: register the model that Easel ships."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.database import platform_role
from generation.checkpoint import CheckpointError
from generation.registry import register_backup, register_starter


class Command(BaseCommand):
    help = "Register the starter model and its styles, or renew them after the files changed."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with platform_role():
                models = register_starter()
                register_backup()
        except CheckpointError as error:
            raise CommandError(str(error)) from error
        for model in models:
            self.stdout.write(f"{model.name} {model.version} from {model.source}")
