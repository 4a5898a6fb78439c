"""The `easel` command."""

from __future__ import annotations

import io
import sys


def main() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # where its encoding lacks a character
    try:
        from easel_client.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich", "click"}:
            raise
        sys.exit("easel: the command needs typer and rich: pip install 'easel-client[cli]'")
    app(prog_name="easel")
