"""What production refuses to start on: secrets that are known, short or used twice, doors that stand open, and an
address or a key that the process would miss at each request.

Each complaint names the variable and the rule, never the value. Secrets are asked about where they were given.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

# What examples, tutorials and other people's images come with.
KNOWN: Final = {
    "admin", "change-me", "changeme", "default", "easel", "example", "minioadmin", "password", "placeholder",
    "postgres", "redis", "replace-me", "root", "secret", "test", "unused", "valkey",
}  # fmt: skip
SHORTEST_KEY: Final = 50
SHORTEST_PASSWORD: Final = 12
DISTINCT_BYTES: Final = 16  # of 32; random ones have fewer once in more than 10^9 keys
SERVING: Final = frozenset({"web", "staff"})
PLATFORM_KEY: Final = {"environment": "PLATFORM_KEYS", "file": "PLATFORM_KEYS_FILE", "kms": "KMS_KEYS"}  # by provider


def refuse_defaults(settings: Mapping[str, Any]) -> None:
    """Raise ImproperlyConfigured with every complaint at once."""
    complaints = [
        *_missing(settings), *_secret_key(settings), *_rings(settings), *_passwords(settings), *_doors(settings),
    ]  # fmt: skip
    if complaints:
        raise ImproperlyConfigured("These settings are not fit for production:\n  " + "\n  ".join(complaints))


def _missing(settings: Mapping[str, Any]) -> Iterator[str]:
    process = settings["PROCESS"]
    if process == "manage":  # what it needs depends on the command
        return
    alias, variable = (
        ("default", "EASEL_DATABASE_URL") if process == "web" else ("platform", "EASEL_PLATFORM_DATABASE_URL")
    )
    if "USER" not in settings["DATABASES"].get(alias, {}):
        yield f"{variable}: it is not set."
    needed = ["BROKER_URL", "CACHE_URL", PLATFORM_KEY[settings["KEY_PROVIDER"]]]
    for name in [*needed, "TOKEN_KEYS"] if process == "web" else needed:
        if not settings[name]:
            yield f"EASEL_{name}: it is not set."


def _secret_key(settings: Mapping[str, Any]) -> Iterator[str]:
    key = str(settings["SECRET_KEY"])
    if len(key) < SHORTEST_KEY or len(set(key)) < 10 or key.startswith("django-insecure-"):
        yield f"EASEL_SECRET_KEY: at least {SHORTEST_KEY} random characters are needed."


def _rings(settings: Mapping[str, Any]) -> Iterator[str]:
    seen: dict[bytes, str] = {}
    for name in ("PLATFORM_KEYS", "TOKEN_KEYS"):
        for word in settings.get(name, []):
            number, _, encoded = str(word).partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                continue  # the ring itself says so, in the words it has for it
            if len(set(key)) < DISTINCT_BYTES:
                yield f"EASEL_{name}: the key with the id {number} is not random."
            if key in seen and seen[key] != name:
                yield f"EASEL_{name}: the key with the id {number} is in EASEL_{seen[key]}, too. Each needs its own."
            seen[key] = name


def _passwords(settings: Mapping[str, Any]) -> Iterator[str]:
    for alias, variable in (
        ("default", "EASEL_DATABASE_URL"),
        ("platform", "EASEL_PLATFORM_DATABASE_URL"),
        ("owner", "EASEL_OWNER_DATABASE_URL"),
    ):
        database = settings["DATABASES"].get(alias, {})
        if "USER" in database:
            yield from _password(variable, str(database["PASSWORD"]), user=str(database["USER"]))
    given = [str(database["PASSWORD"]) for database in settings["DATABASES"].values() if database.get("PASSWORD")]
    if len(set(given)) < len(given):
        yield "EASEL_DATABASE_URL and its siblings: two roles have the same password."
    if settings["S3"]["secret_key"]:
        yield from _password("EASEL_S3_SECRET_KEY", str(settings["S3"]["secret_key"]))


def _password(variable: str, password: str, *, user: str = "") -> Iterator[str]:
    if password.lower() in KNOWN or (user and password == user):
        yield f"{variable}: the password is one that everybody knows."
    elif len(password) < SHORTEST_PASSWORD:
        yield f"{variable}: the password has fewer than {SHORTEST_PASSWORD} characters."


def _doors(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings["PROCESS"] not in SERVING:
        return
    if "*" in settings["ALLOWED_HOSTS"]:
        yield "EASEL_ALLOWED_HOSTS: name the hosts; * believes every Host header."
    if settings["PROCESS"] == "web" and not str(settings["BASE_URL"]).startswith("https://"):
        yield "EASEL_BASE_URL: the public https:// address is needed; links in mails and tokens name it."
