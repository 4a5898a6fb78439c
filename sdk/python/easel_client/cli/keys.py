"""`easel keys`"""

from typing import Annotated, Optional

import typer

from easel_client.cli.running import state_of, told
from easel_client.options import KeyRules
from easel_client.records import Key

app = typer.Typer(help="The account's API keys.", no_args_is_help=True)
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="ek_…")]


@app.command("list")
def list_keys(
    context: typer.Context,
    revoked: Annotated[bool, typer.Option("--all", help="Revoked ones, too.")] = False,
) -> None:
    """All keys, newest first, without their secrets."""
    state = state_of(context)
    with told(state.terminal), state.client() as easel:
        found = [each for each in easel.keys.list() if revoked or each.revoked_at is None]
        if state.terminal.as_json:
            for each in found:
                state.terminal.data(each.raw)
            return
        rows = [(each.id, each.name, each.mode, " ".join(each.scopes), each.last_used_at or "never") for each in found]
        state.terminal.table(("key", "name", "mode", "scopes", "last used"), rows)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="For people.")],
    scope: Annotated[list[str], typer.Option("--scope", "-s", help="What it may do; say it once for each.")],
    test: Annotated[bool, typer.Option("--test", help="A test key: free, and draws two colors.")] = False,
    expires_at: Annotated[Optional[str], typer.Option(help="Such as 2027-01-31T00:00:00Z.")] = None,
) -> None:
    """Make a key. Its secret is shown once."""
    state = state_of(context)
    rules = KeyRules(mode="test" if test else "live")
    if expires_at is not None:
        rules["expires_at"] = expires_at
    with told(state.terminal), state.client() as easel:
        _tell(context, easel.keys.create(name, scope, **rules))


@app.command()
def rotate(
    context: typer.Context,
    key: KeyId,
    overlap: Annotated[int, typer.Option(help="Seconds for which the old secret stays good.")] = 0,
) -> None:
    """Give a key another secret, shown once."""
    state = state_of(context)
    with told(state.terminal), state.client() as easel:
        _tell(context, easel.keys.rotate(key, overlap_seconds=overlap))


@app.command()
def revoke(context: typer.Context, key: KeyId) -> None:
    """End a key: within five seconds it opens nothing."""
    state = state_of(context)
    with told(state.terminal), state.client() as easel:
        easel.keys.revoke(key)
        state.terminal.say(f"{key} is revoked.")


def _tell(context: typer.Context, key: Key) -> None:
    terminal = state_of(context).terminal
    if terminal.as_json:
        terminal.data(key.raw)
        return
    terminal.say(f"Key     {key.id}")
    terminal.say(f"Secret  {key.secret}")
    terminal.note("The secret is not shown again.")
