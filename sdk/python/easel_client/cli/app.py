# No `from __future__ import annotations` in the files with commands: typer reads annotations as they are.
"""The command line: what can be said, and which function hears it."""

from typing import Annotated

import typer

from easel_client import __version__
from easel_client.cli import batch, doctor, draw, keys, login, lookup, serve, watch
from easel_client.cli.running import State
from easel_client.cli.terminal import Terminal

EPILOG = (
    "Exit codes: 0 done · 1 something else · 2 the command line · 3 no credentials, or they open nothing · "
    "4 the request is refused · 5 credits, caps or limits · 6 Easel cannot be reached or is overloaded · "
    "7 it ended without pictures · 8 it goes on, the time to wait is over · 130 interrupted."
)

app = typer.Typer(
    name="easel",
    help="Draw with Easel from the terminal. Begin with: easel login",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON, one value a line.")] = False,
    sealed: Annotated[bool, typer.Option("--sealed", help="Seal requests and answers above TLS.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = State(Terminal(as_json=as_json), sealed=sealed)


app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("generate")(draw.generate)
app.command("fetch")(draw.fetch)
app.command("batch")(batch.batch)
app.command("watch")(watch.watch)
app.command("models")(lookup.models)
app.command("usage")(lookup.usage)
app.command("quote")(lookup.quote)
app.add_typer(keys.app, name="keys")
app.command("doctor")(doctor.doctor)
app.command("mcp")(serve.mcp)
