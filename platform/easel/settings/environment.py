"""Typed reads of the process environment: a missing or malformed variable is named, with the rule it breaks."""

import ipaddress
import os
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    value = os.environ.get(name, default)
    if value is None or value == "":
        if default == "":
            return ""
        raise ImproperlyConfigured(f"{name} is not set in the environment; docs/configuration.md says what it is.")
    return value


def number(name: str, default: int) -> int:
    value = os.environ.get(name)
    try:
        return default if value in (None, "") else int(str(value))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from error


def flag(name: str, *, default: bool = False) -> bool:
    match os.environ.get(name, "").strip().lower():
        case "":
            return default
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
        case other:
            raise ImproperlyConfigured(f"{name} must be 1 or 0, not {other!r}.")


def choice(name: str, *known: str) -> str:
    """One of a few words; the first is the default."""
    value = os.environ.get(name) or known[0]
    if value not in known:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(known)}, not {value!r}.")
    return value


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def networks(name: str) -> list[str]:
    """A comma-separated list of networks such as `10.0.0.0/8`."""
    for word in words(name):
        try:
            ipaddress.ip_network(word, strict=False)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {word!r} is no network such as 10.0.0.0/8.") from error
    return words(name)


def database(name: str, *, pool_size: int, fixed: bool = False, process: str = "") -> dict[str, object] | None:
    """A `postgresql://user:password@host:port/name?option=value` URL as a Django database; None: it is not set.

    Up to `pool_size` connections are kept open, all of them from the start where the pool is `fixed`; 0: there is no
    pool. Postgres shows them under the name of the `process`.
    """
    url = os.environ.get(name)
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"{name} must start with postgresql://, not {parts.scheme}://.")
    options: dict[str, object] = {"application_name": f"easel {process}".rstrip(), **dict(parse_qsl(parts.query))}
    if pool_size:
        options["pool"] = {"min_size": pool_size if fixed else 1, "max_size": pool_size, "timeout": 10}
    return {
        "ENGINE": "django_prometheus.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or 5432),
        "CONN_MAX_AGE": 0,
        "OPTIONS": options,
    }
