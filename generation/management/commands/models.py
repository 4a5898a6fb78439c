"""`manage.py models add|retire|list|allow|deny`: which models Easel serves, and to whom."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from easel.database import platform_role
from generation.categories import CATEGORIES
from generation.checkpoint import CheckpointError
from generation.models import Model, ModelAccess
from generation.registry import UnknownModel, add, named, retire
from tenants.models import Tenant


class Command(BaseCommand):
    help = "Add a model from a folder or hub id, retire one, list them, say which tenants may use one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        adding = actions.add_parser("add", help="register or renew a model")
        adding.add_argument("name", help="how customers name it")
        adding.add_argument("source", help="a folder with model_index.json, or a hub id such as owner/model")
        adding.add_argument("--revision", default="", help="the hub's commit to pin")
        adding.add_argument("--title", default="")
        adding.add_argument("--license", default="", help="its license, by name or address")
        adding.add_argument("--accept-license", metavar="WHO", default="", help="who has read and accepted it")
        adding.add_argument("--pool", default="default")
        adding.add_argument("--size", type=int, default=512, help="default edge in pixels")
        adding.add_argument("--min-size", type=int, default=64)
        adding.add_argument("--max-size", type=int, default=1024)
        adding.add_argument("--max-steps", type=int, default=150)
        adding.add_argument("--factor", type=float, default=1.0, help="cost relative to Stable Diffusion 1.5")
        adding.add_argument("--category", action="append", choices=CATEGORIES, default=[], help='"auto" sends it these')
        adding.add_argument("--fallback", default="", help="the model that draws while this one cannot")
        adding.add_argument("--restricted", action="store_true", help="only for tenants that are allowed it")
        adding.add_argument("--default", action="store_true", help='the model behind "auto" where no category fits')
        adding.add_argument("--smoke", action="store_true", help="draw one picture first; without it, do not add it")
        for action, what in (("retire", "nobody can ask for it any more"), ("restore", "take a retirement back")):
            actions.add_parser(action, help=what).add_argument("name")
        actions.add_parser("list", help="all of everybody's models")
        for action, what in (("allow", "let a tenant use a restricted model"), ("deny", "take that back")):
            giving = actions.add_parser(action, help=what)
            giving.add_argument("name")
            giving.add_argument("tenant", help="its slug")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with platform_role():
                self.stdout.write(getattr(self, f"_{options['action']}")(options))
        except (CheckpointError, UnknownModel) as error:
            raise CommandError(str(error)) from error

    def _add(self, options: dict[str, Any]) -> str:
        if options["license"] and not options["accept_license"]:
            raise CommandError(f"Read the license ({options['license']}), then say --accept-license with your name.")
        accepted = {}
        if options["accept_license"]:
            accepted = {"license_accepted_by": options["accept_license"], "license_accepted_at": timezone.now()}
        model = add(
            options["name"],
            options["source"],
            try_out=_smoke() if options["smoke"] else None,
            pool=options["pool"],
            title=options["title"] or options["name"],
            license=options["license"],
            revision=options["revision"],
            default_size=options["size"],
            min_size=options["min_size"],
            max_size=options["max_size"],
            max_steps=options["max_steps"],
            factor=options["factor"],
            categories=options["category"],
            fallback=named(options["fallback"]) if options["fallback"] else None,
            restricted=options["restricted"],
            retired_at=None,
            **accepted,
            **({"is_default": True} if options["default"] else {}),
        )
        return f"{model.name} {model.version} from {model.source}"

    def _retire(self, options: dict[str, Any]) -> str:
        return f"{retire(options['name']).name} is retired."

    def _restore(self, options: dict[str, Any]) -> str:
        model = named(options["name"])
        Model.objects.filter(id=model.id).update(retired_at=None)
        return f"{model.name} can be asked for again."

    def _list(self, options: dict[str, Any]) -> str:
        models = Model.objects.select_related("fallback").filter(tenant=None).order_by("name")
        return "\n".join(_line(model) for model in models)

    def _allow(self, options: dict[str, Any]) -> str:
        model, tenant = named(options["name"]), _tenant(options["tenant"])
        ModelAccess.objects.get_or_create(tenant=tenant, model=model)
        return f"{tenant.name} may use {model.name}."

    def _deny(self, options: dict[str, Any]) -> str:
        model, tenant = named(options["name"]), _tenant(options["tenant"])
        ModelAccess.objects.filter(tenant=tenant, model=model).delete()
        return f"{tenant.name} may not use {model.name}."


def _smoke() -> Callable[[Model], str]:
    from generation import smoke  # torch comes with it, and only here

    return smoke.draw


def _tenant(slug: str) -> Tenant:
    try:
        return Tenant.objects.get(slug=slug)
    except Tenant.DoesNotExist as error:
        raise CommandError(f"There is no tenant {slug!r}.") from error


def _line(model: Model) -> str:
    states = {"retired": model.retired_at, "off": not model.enabled, "restricted": model.restricted}
    state = next((name for name, holds in states.items() if holds), "on")
    fallback = f" → {model.fallback.name}" if model.fallback else ""
    categories = ",".join(model.categories) or "-"
    return f"{model.name}{fallback}\t{model.version or '-'}\t{state}\t{categories}\t{model.license or '-'}"
