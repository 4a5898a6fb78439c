"""Around every command: the client it gets, and how its errors are told."""

from __future__ import annotations

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


def state_of(context: typer.Context) -> State:
    state = context.obj
    assert isinstance(state, State)  # noqa: S101  the callback has set it
    return state


@contextmanager
def told(terminal: Terminal) -> Iterator[None]:
    """Errors become a message, a remedy and an exit code."""
    try:
        yield
    except KeyboardInterrupt as error:
        terminal.error("interrupted")
        raise typer.Exit(exits.INTERRUPTED) from error
    except (credentials.NoCredentials, credentials.UnreadableCredentials) as error:
        terminal.error(str(error), code="no_credentials")
        raise typer.Exit(exits.NOT_LET_IN) from error
    except errors.APIError as error:
        terminal.error(str(error), code=error.code, hint=remedy_of(error), request_id=error.request_id)
        raise typer.Exit(exits.code_of(error)) from error
    except errors.EaselError as error:
        terminal.error(str(error), code=type(error).__name__, hint=remedy_of(error))
        raise typer.Exit(exits.code_of(error)) from error
    except (ValueError, OSError, ImportError) as error:
        terminal.error(str(error))
        raise typer.Exit(exits.USAGE if isinstance(error, ValueError) else exits.UNKNOWN) from error
