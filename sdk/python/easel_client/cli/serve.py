"""`easel mcp`"""

from typing import Annotated, Optional

import typer

from easel_client.cli import credentials, exits
from easel_client.cli.running import state_of, told
from easel_client.configuration import LAST_PORT


def mcp(
    context: typer.Context,
    *,
    http: Annotated[bool, typer.Option("--http", help="Streamable HTTP instead of standard input and output.")] = False,
    host: Annotated[str, typer.Option(help="For --http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=LAST_PORT, help="For --http.")] = 8765,
    token: Annotated[
        Optional[str], typer.Option(envvar="EASEL_MCP_TOKEN", help="What clients of --http must send as bearer token.")
    ] = None,
    spend_cap: Annotated[
        Optional[int], typer.Option(min=1, help="Credits it may spend; each start begins anew.")
    ] = None,
) -> None:
    """Let AI assistants draw with your key: a Model Context Protocol server."""
    state = state_of(context)
    try:
        from easel_client import mcp_server
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("mcp"):
            raise
        state.terminal.error("the MCP server needs another package: pip install 'easel-client[mcp]' (Python 3.10 on)")
        raise typer.Exit(exits.USAGE) from error
    with told(state.terminal):
        found = credentials.load()
        server = mcp_server.Server(
            found.base_url, found.api_key, found.api_secret, spend_cap=spend_cap, sealed=state.sealed
        )
        if http:
            mcp_server.over_http(server, host=host, port=port, token=token, say=state.terminal.note)
        else:
            mcp_server.over_stdio(server)
