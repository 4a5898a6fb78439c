"""`manage.py openapi`: the API's description as JSON; with --check, only whether it is whole."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from easel import openapi


class Command(BaseCommand):
    help = "Print the API's description (OpenAPI 3.1), or with --check fail where a view is not described."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="print nothing; fail on anything that was guessed")

    def handle(self, *args: Any, **options: Any) -> None:
        document = openapi.document()
        if not options["check"]:
            self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False))
            return
        complaints = openapi.complaints()
        if complaints:
            raise CommandError("\n".join(complaints))
        self.stdout.write(f"{len(document['paths'])} paths are described.")
