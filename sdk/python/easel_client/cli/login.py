"""`easel login`, `easel logout`"""

from typing import Annotated

import typer

from easel_client import Easel, errors
from easel_client.cli import credentials
from easel_client.cli.credentials import Credentials
from easel_client.cli.running import state_of, told
from easel_client.configuration import address_of
from easel_client.policy import RetryPolicy


def login(
    context: typer.Context,
    *,
    url: Annotated[str, typer.Option(help="The address of Easel.", envvar="EASEL_URL")] = "",
    key: Annotated[str, typer.Option(help="The API key's id, ek_….", envvar="EASEL_API_KEY")] = "",
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help="Read the secret from standard input.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Take the demo tenant of a running make up.")] = False,
    demo_file: Annotated[str, typer.Option(help="Where its demo.json is.")] = "",
) -> None:
    """Keep an API key for this command, in a file that only you can read. It is tried first."""
    state = state_of(context)
    terminal = state.terminal
    with told(terminal):
        found = credentials.demo(demo_file) if demo or demo_file else _asked(url, key, secret_stdin=secret_stdin)
        with state.client(found, retry=RetryPolicy(attempts=2)) as easel:
            seen = _models_of(easel)
        path = credentials.save(found)
    if terminal.as_json:
        terminal.data({"base_url": found.base_url, "api_key": found.api_key, "file": str(path)})
    else:
        terminal.say(f"Signed in at {found.base_url} with {found.api_key}, kept in {path}. {seen}")


def logout(context: typer.Context) -> None:
    """Forget the kept API key. The key itself stays good."""
    terminal = state_of(context).terminal
    with told(terminal):
        there = credentials.forget()
    terminal.say("Forgotten." if there else "Nobody was signed in.")


def _models_of(easel: Easel) -> str:
    """Tries the key: one that lacks the scope to see them was let in, too."""
    try:
        return f"{len(easel.models())} models."
    except errors.InsufficientScope:
        return "It may not see models."


def _asked(url: str, key: str, *, secret_stdin: bool) -> Credentials:
    url = url or typer.prompt("Address of Easel", default="http://127.0.0.1:8000")
    key = key or typer.prompt("API key (ek_…)")
    if secret_stdin:
        secret = typer.get_text_stream("stdin").readline().strip()
    else:
        secret = typer.prompt("API secret (es_…)", hide_input=True)
    return Credentials(address_of(url), key.strip(), secret)
