"""`manage.py establish_roles`: the database, its roles and their passwords, as the processes' addresses name them."""

import os
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from django.core.management.base import BaseCommand, CommandError

from easel import roles
from easel.roles import RolePasswords

SUPERUSER = "EASEL_SUPERUSER_DATABASE_URL"
# Which variable tells the password of which role.
ADDRESSES = {
    roles.OWNER: "EASEL_OWNER_DATABASE_URL",
    roles.APP: "EASEL_DATABASE_URL",
    roles.PLATFORM: "EASEL_PLATFORM_DATABASE_URL",
    roles.BACKUP: "EASEL_BACKUP_DATABASE_URL",
}


class Command(BaseCommand):
    help = (
        f"Create the database and its four roles, or set them right. Reads {SUPERUSER} and the address of each role "
        "from the environment. Safe to run again; needed before the first `migrate` and when a password changes."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        superuser = _address(SUPERUSER)
        passwords = {role: _password(variable, role) for role, variable in ADDRESSES.items()}
        with psycopg.connect(superuser, autocommit=True) as connection:
            roles.establish_roles(
                connection,
                RolePasswords(
                    owner=passwords[roles.OWNER],
                    app=passwords[roles.APP],
                    platform=passwords[roles.PLATFORM],
                    backup=passwords[roles.BACKUP],
                ),
            )
            roles.establish_database(connection)
        with psycopg.connect(_of_database(superuser), autocommit=True) as connection:
            roles.establish_schema(connection)
        self.stdout.write(f"database {roles.DATABASE}: {', '.join(ADDRESSES)} are as they should be")


def _address(variable: str) -> str:
    if not (url := os.environ.get(variable)):
        raise CommandError(f"{variable} is not set in the environment.")
    return url


def _password(variable: str, role: str) -> str:
    parts = urlsplit(_address(variable))
    if unquote(parts.username or "") != role:
        raise CommandError(f"{variable} must name the user {role}.")
    if not parts.password:
        raise CommandError(f"{variable} must have a password.")
    return unquote(parts.password)


def _of_database(superuser: str) -> str:
    return urlunsplit(urlsplit(superuser)._replace(path=f"/{roles.DATABASE}"))
