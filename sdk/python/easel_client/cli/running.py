"""Around every command: the client it gets, and how its errors are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from easel_client import AsyncEasel, Easel, errors
from easel_client.cli import credentials, exits
from easel_client.cli.remedies import remedy_of
from easel_client.cli.terminal import Terminal
from easel_client.errors import APIError


@dataclass
class State:
    """What was said before the command's name."""

    terminal: Terminal
    sealed: bool = False

    def client(self) -> Easel:
        found = credentials.load()
        return Easel(found.base_url, found.api_key, found.api_secret, sealed=self.sealed)

    def async_client(self) -> AsyncEasel:
        found = credentials.load()
        return AsyncEasel(found.base_url, found.api_key, found.api_secret, sealed=self.sealed)


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
    except APIError as error:
        terminal.error(str(error), code=error.code, hint=remedy_of(error), request_id=error.request_id)
        raise typer.Exit(exits.code_of(error)) from error
    except errors.EaselError as error:
        terminal.error(str(error), code=type(error).__name__, hint=remedy_of(error))
        raise typer.Exit(exits.code_of(error)) from error
    except (ValueError, OSError) as error:
        terminal.error(str(error))
        raise typer.Exit(exits.USAGE if isinstance(error, ValueError) else exits.UNKNOWN) from error
