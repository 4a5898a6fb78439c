"""Every log line of every process, in one form: ECS JSON for machines, or colors for a person.

structlog and the standard library meet in one formatter: Django, uvicorn, dramatiq and Easel write the same lines.
Lines go to stderr, because the standard output of a command is its result.
"""

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

import structlog
from django.core.exceptions import ImproperlyConfigured
from structlog.typing import EventDict, Processor

from easel import __version__
from easel.settings import environment

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
ECS_VERSION: Final = "8.11"
REDACTED: Final = "[redacted]"
# Text and collections under a key that holds one of these words are never written; numbers are.
SECRET_WORDS: Final = (
    "authorization",
    "secret",
    "password",
    "passwd",
    "prompt",
    "token",
    "cookie",
    "assertion",
    "credential",
    "api_key",
    "data_key",
)
# What slips into messages and stack traces: bearer tokens, JWTs, API secrets, passwords inside of URLs.
_SLIPPED: Final = re.compile(
    r"(?i:(?<=\bbearer\s))[\w.~+/=-]{8,}|\beyJ[\w-]+\.[\w-]+\.[\w-]*|\bes_\w{8,}|es_[A-Za-z0-9]{30,}|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)
# Loggers that are configured before us by those who start us, or by Django.
_TAKEN_OVER: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "dramatiq", "django", "django.server")
_QUIETER: Final = {
    "django.request": logging.ERROR,  # the line "answered" says what a client did wrong
    "uvicorn.access": logging.WARNING,
    "botocore": logging.WARNING,
    "boto3": logging.WARNING,
    "urllib3": logging.WARNING,
}


def configure(config: Mapping[str, str]) -> None:
    """Django's LOGGING_CONFIG. `config` has `level` (a name), `form` ("ecs" or "console") and `process`."""
    handler = _handler(config)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config["level"])
    for name in _TAKEN_OVER:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name, level in _QUIETER.items():
        logging.getLogger(name).setLevel(max(level, root.level))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def of_environment(process: str) -> dict[str, str]:
    """What `configure` takes. Raises ImproperlyConfigured."""
    level = environment.text("EASEL_LOG_LEVEL", "").upper() or "INFO"
    if level not in LEVELS:
        raise ImproperlyConfigured(f"EASEL_LOG_LEVEL must be one of {', '.join(LEVELS)}, not {level!r}.")
    return {"level": level, "form": environment.choice("EASEL_LOG_FORM", "ecs", "console"), "process": process}


def handler_of_environment() -> logging.Handler:
    """For a process that loads no settings: uvicorn's main one, which starts the others (`uvicorn.json`)."""
    said = of_environment(os.environ.get("EASEL_PROCESS", ""))
    handler = _handler(said)
    handler.setLevel(said["level"])
    return handler


def _handler(config: Mapping[str, str]) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.contextvars.merge_contextvars], processors=_last(config)
        )
    )
    return handler


def _last(config: Mapping[str, str]) -> list[Processor]:
    if config["form"] == "console":
        console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        return [
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.stdlib.add_log_level,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            console,
        ]
    return [Ecs(config.get("process", "")), redact, as_json]


class Ecs:
    """An event in the Elastic Common Schema; what Easel binds itself (request_id, tenant, …) stays as it is named."""

    def __init__(self, process: str) -> None:
        self._standing = {
            "ecs.version": ECS_VERSION,
            "service.name": "easel",
            "service.version": __version__,
            "process.name": process,
        }

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        record: logging.LogRecord = event.pop("_record")
        event.pop("_from_structlog")
        event.pop("stack_info", None)
        error = _exc_info(event.pop("exc_info", None))
        if "error" in event:  # in the schema `error` is an object: beside a text, an index refuses one of the two
            event["error.message"] = str(event.pop("error"))
        line: EventDict = {
            "@timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "log.level": record.levelname.lower(),
            "message": str(event.pop("event", "")),
            **self._standing,
            "process.pid": record.process,
            "log.logger": record.name,
            **event,
        }
        if error is not None:
            kind, value, trace = error
            line["error.type"] = kind.__qualname__
            line["error.message"] = str(value)
            line["error.stack_trace"] = "".join(traceback.format_exception(kind, value, trace))
        return line


def redact(logger: Any, method: str, event: EventDict) -> EventDict:
    return {name: _without_secrets(name, value) for name, value in event.items()}


def as_json(logger: Any, method: str, event: EventDict) -> str:
    return json.dumps(event, default=str)


def _without_secrets(name: str, value: Any) -> Any:
    if isinstance(value, str | bytes | list | tuple | set | Mapping) and _is_secret(name):
        return REDACTED
    if isinstance(value, str):
        return _SLIPPED.sub(REDACTED, value)
    if isinstance(value, Mapping):
        return {str(key): _without_secrets(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(name, inner) for inner in value]
    return value


def _is_secret(name: str) -> bool:
    lowered = name.lower().replace("-", "_")
    return any(word in lowered for word in SECRET_WORDS)


def _exc_info(given: Any) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
    """structlog and the standard library pass True, an exception, or the triple."""
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    kind, value, trace = (sys.exc_info() if given is True else given) or (None, None, None)
    return None if kind is None or value is None else (kind, value, trace)
