"""`manage.py establish_roles` makes what the processes' own addresses name, and says what is missing."""

import os

import psycopg
import pytest
from django.core.management import CommandError, call_command

from easel.embedded.stack import Stack


@pytest.fixture
def addresses(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials, manage = stack.credentials, stack.environment("manage")
    superuser = stack.postgres.url("postgres", credentials.postgres).rsplit("/", 1)[0] + "/postgres"
    monkeypatch.setenv("EASEL_SUPERUSER_DATABASE_URL", superuser)
    monkeypatch.setenv("EASEL_BACKUP_DATABASE_URL", stack.postgres.url("easel_backup", credentials.backup))
    for name in ("EASEL_DATABASE_URL", "EASEL_PLATFORM_DATABASE_URL", "EASEL_OWNER_DATABASE_URL"):
        monkeypatch.setenv(name, manage[name])


@pytest.mark.usefixtures("addresses")
def test_it_narrows_a_role_that_somebody_widened() -> None:
    with psycopg.connect(os.environ["EASEL_SUPERUSER_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("ALTER ROLE easel_app BYPASSRLS CREATEDB")
        call_command("establish_roles")
        row = connection.execute("SELECT rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = 'easel_app'")
        assert row.fetchone() == (False, False)
    with psycopg.connect(os.environ["EASEL_DATABASE_URL"]) as app:
        assert app.execute("SELECT current_user").fetchone() == ("easel_app",)


@pytest.mark.usefixtures("addresses")
def test_it_names_the_variable_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EASEL_BACKUP_DATABASE_URL")
    with pytest.raises(CommandError, match="EASEL_BACKUP_DATABASE_URL is not set"):
        call_command("establish_roles")


@pytest.mark.usefixtures("addresses")
def test_it_refuses_an_address_of_another_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_PLATFORM_DATABASE_URL", os.environ["EASEL_DATABASE_URL"])
    with pytest.raises(CommandError, match="EASEL_PLATFORM_DATABASE_URL must name the user easel_platform"):
        call_command("establish_roles")
