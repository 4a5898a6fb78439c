"""What a process of Easel is told by its environment: which kind it is, addresses, and the passwords of its part."""

import os
from typing import Final

from easel import roles
from easel.embedded.application import inherited
from easel.embedded.credentials import Credentials
from easel.embedded.ports import Ports
from easel.embedded.postgres import Postgres
from easel.embedded.seaweed import BUCKET, REGION, SeaweedFS
from easel.embedded.valkey import Broker, Cache
from easel.embedded.var import ROOT, Var

EXPORTING: Final = ("web", "staff", "worker", "clock")  # processes with metrics on a port of their own


def metrics_port(process: str) -> str:
    """The name under which the port is remembered."""
    return f"{process}-metrics"


def environment_of(process: str, *, var: Var, credentials: Credentials, ports: Ports) -> dict[str, str]:
    """The whole environment of a process of this kind: web, staff, worker, clock, screening or manage."""
    screening = f"127.0.0.1:{ports['screening']}"
    if process == "screening":  # it reads no database, and nobody's passwords
        return _python() | {"EASEL_SCREENING_LISTEN": screening, "EASEL_SCREENING_SECRET": credentials.screening}
    postgres = Postgres(var, credentials, ports["postgres"])
    environment = _python() | {
        "DJANGO_SETTINGS_MODULE": "easel.settings.embedded",
        "EASEL_VAR": str(var.root),
        "EASEL_PROCESS": process,
        "EASEL_SECRET_KEY": credentials.secret_key,
        "EASEL_PLATFORM_KEYS": credentials.platform_keys,
        "EASEL_TOKEN_KEYS": credentials.token_keys,
        "EASEL_DATABASE_URL": postgres.url(roles.APP, credentials.app),
        "EASEL_BROKER_URL": os.environ.get("EASEL_RABBITMQ_URL")
        or Broker(var, credentials.broker, ports["broker"]).url,
        "EASEL_CACHE_URL": Cache(var, credentials.cache, ports["cache"]).url,
        "EASEL_S3_ENDPOINT": SeaweedFS(var, credentials, ports).endpoint,
        "EASEL_S3_REGION": REGION,
        "EASEL_S3_BUCKET": BUCKET,
        "EASEL_S3_ACCESS_KEY": credentials.s3_access_key,
        "EASEL_S3_SECRET_KEY": credentials.s3_secret_key,
        "EASEL_SCREENING_URL": f"http://{screening}",
        "EASEL_SCREENING_SECRET": credentials.screening,
    }
    if process != "web":
        environment["EASEL_PLATFORM_DATABASE_URL"] = postgres.url(roles.PLATFORM, credentials.platform)
    if process in EXPORTING:
        environment["EASEL_METRICS_PORT"] = str(ports[metrics_port(process)])
    if process == "web":  # several processes behind one port: their metrics are added up
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(var.run / "metrics-web")
    if process == "manage":
        environment["EASEL_OWNER_DATABASE_URL"] = postgres.url(roles.OWNER, credentials.owner)
        environment["EASEL_BACKUP_DATABASE_URL"] = postgres.url(roles.BACKUP, credentials.backup)
    return environment


def _python() -> dict[str, str]:
    return inherited() | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]),
        "PYTHONUNBUFFERED": "1",
    }
