"""Around every command: the client it gets, and how its errors are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import typer

from easel_client import AsyncEasel, Easel, RetryPolicy, errors
from easel_client.cli import credentials, exits
from easel_client.cli.connecting import connected
from easel_client.cli.credentials import Credentials
from easel_client.cli.remedies import remedy_of
from easel_client.cli.terminal import Terminal
from easel_client.transport import LIMITS


@dataclass
class State:
    """What was said before the command's name."""

    terminal: Terminal
    sealed: bool = False

    def client(self, found: Credentials | None = None, *, retry: RetryPolicy | None = None) -> Easel:
        """With the credentials that were found, or else with those that are kept."""
        found = found or credentials.load()
        http = connected(lambda: httpx.Client(limits=LIMITS))
        return Easel(found.base_url, found.api_key, found.api_secret, sealed=self.sealed, retry=retry, http=http)

    def async_client(self) -> AsyncEasel:
        found = credentials.load()
        http = connected(lambda: httpx.AsyncClient(limits=LIMITS))
        return AsyncEasel(found.base_url, found.api_key, found.api_secret, sealed=self.sealed, http=http)


@dataclass
class Telling:
    """What an error is told with."""

    generation_id: str = ""  # of the one that it cost, once there is one


def state_of(context: typer.Context) -> State:
    state = context.obj
    assert isinstance(state, State)  # noqa: S101  the callback has set it
    return state


@contextmanager
def told(terminal: Terminal) -> Iterator[Telling]:
    """Errors become a message, a remedy and an exit code."""
    telling = Telling()
    try:
        yield telling
    except KeyboardInterrupt as error:
        _tell(terminal, error, telling, said="interrupted")
        raise typer.Exit(exits.INTERRUPTED) from error
    except typer.Abort as error:
        typed = sys.stdin is not None and sys.stdin.isatty()
        said = "interrupted" if typed else "a question has no answer here: give --url, --key and --secret-stdin"
        _tell(terminal, error, telling, said=said)
        raise typer.Exit(exits.INTERRUPTED if typed else exits.USAGE) from error
    except (credentials.NoCredentials, credentials.UnreadableCredentials) as error:
        _tell(terminal, error, telling, code="no_credentials")
        raise typer.Exit(exits.NOT_LET_IN) from error
    except errors.APIError as error:
        _tell(terminal, error, telling, code=error.code, request_id=error.request_id)
        raise typer.Exit(exits.code_of(error)) from error
    except errors.EaselError as error:
        _tell(terminal, error, telling, code=type(error).__name__)
        raise typer.Exit(exits.code_of(error)) from error
    except (ValueError, OSError, ImportError) as error:
        _tell(terminal, error, telling)
        raise typer.Exit(exits.USAGE if isinstance(error, ValueError) else exits.UNKNOWN) from error


def _tell(terminal: Terminal, error: BaseException, telling: Telling, *, said: str = "", **more: str) -> None:
    about = telling.generation_id or getattr(error, "generation_id", None) or ""
    terminal.error(said or str(error), hint=remedy_of(error, about), generation_id=about, **more)
