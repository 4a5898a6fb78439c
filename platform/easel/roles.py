"""The database roles of Easel: owner migrates, app serves customers, platform serves workers and staff, backup dumps.

Row-Level Security stands on the difference between them (docs/adr/0003). Safe to run again and again: it creates
what is missing, sets the passwords, and takes nothing away. Table grants come with the migrations.
"""

from dataclasses import dataclass

import psycopg
from psycopg import sql

DATABASE = "easel"
OWNER, APP, PLATFORM, BACKUP = "easel_owner", "easel_app", "easel_platform", "easel_backup"

# None of them may ever be more than this; repeated on every run, so that a widened role is narrowed again.
ATTRIBUTES = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"


@dataclass(frozen=True)
class RolePasswords:
    owner: str
    app: str
    platform: str
    backup: str


def establish_roles(connection: psycopg.Connection, passwords: RolePasswords) -> None:
    """Roles and memberships. Needs a superuser's connection in autocommit mode."""
    for role, password, bypass in (
        (OWNER, passwords.owner, "NOBYPASSRLS"),
        (APP, passwords.app, "NOBYPASSRLS"),
        (PLATFORM, passwords.platform, "NOBYPASSRLS"),
        (BACKUP, passwords.backup, "BYPASSRLS"),
    ):
        _create_role(connection, role)
        connection.execute(
            sql.SQL("ALTER ROLE {} WITH {} {} PASSWORD {}").format(
                sql.Identifier(role), sql.SQL(ATTRIBUTES), sql.SQL(bypass), sql.Literal(password)
            )
        )
    # The owner may hand a function over to the platform role, and gains none of its rights by that.
    _grant(connection, "GRANT {} TO {} WITH INHERIT FALSE, SET TRUE", PLATFORM, OWNER)
    _grant(connection, "GRANT pg_read_all_data TO {}", BACKUP)


def establish_database(connection: psycopg.Connection) -> None:
    """The database `easel`, owned by easel_owner and closed to every role that is not Easel's. Same connection."""
    exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
    if not exists:
        _grant(connection, "CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0", DATABASE, OWNER)
    _grant(connection, "ALTER DATABASE {} OWNER TO {}", DATABASE, OWNER)
    _grant(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", DATABASE)
    for role in (APP, PLATFORM, BACKUP):
        _grant(connection, "GRANT CONNECT ON DATABASE {} TO {}", DATABASE, role)


def establish_schema(connection: psycopg.Connection) -> None:
    """Ownership of schema public. Needs a superuser's connection to the database `easel` itself."""
    _grant(connection, "ALTER SCHEMA public OWNER TO {}", OWNER)
    connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    for role in (APP, PLATFORM, BACKUP):
        _grant(connection, "GRANT USAGE ON SCHEMA public TO {}", role)


def _create_role(connection: psycopg.Connection, role: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        _grant(connection, "CREATE ROLE {}", role)


def _grant(connection: psycopg.Connection, statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
