"""`manage.py models_add NAME SOURCE`: serve a checkpoint of your own."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.database import platform_role
from generation.checkpoint import CheckpointError
from generation.registry import register


class Command(BaseCommand):
    help = "Register a model from a local folder in diffusers form, or from a hub id."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="how customers name it")
        parser.add_argument("source", help="a folder with model_index.json, or a hub id such as owner/model")
        parser.add_argument("--revision", default="", help="the hub's commit to pin")
        parser.add_argument("--title", default="")
        parser.add_argument("--license", default="")
        parser.add_argument("--pool", default="default")
        parser.add_argument("--size", type=int, default=512, help="default edge in pixels")
        parser.add_argument("--max-size", type=int, default=1024)
        parser.add_argument("--factor", type=float, default=1.0, help="cost relative to Stable Diffusion 1.5")
        parser.add_argument("--default", action="store_true", help='make it the model behind "auto"')

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with platform_role():
                model = register(
                    options["name"],
                    options["source"],
                    pool=options["pool"],
                    title=options["title"] or options["name"],
                    license=options["license"],
                    revision=options["revision"],
                    default_size=options["size"],
                    max_size=options["max_size"],
                    factor=options["factor"],
                    **({"is_default": True} if options["default"] else {}),
                )
        except CheckpointError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{model.name} {model.version} from {model.source}")
