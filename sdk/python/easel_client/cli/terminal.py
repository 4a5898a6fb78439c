"""What the command says: for people on the terminal, for programs as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text


class Terminal:
    """Results go to standard output; progress and errors to standard error."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = Console(highlight=False, soft_wrap=True, emoji=False)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

    def say(self, text: str) -> None:
        """For people only."""
        if not self.as_json:
            self.out.print(text, markup=False)

    def note(self, text: str) -> None:
        self.err.print(text, markup=False, style="dim")

    def data(self, value: Any) -> None:
        """For programs: one JSON value a line."""
        _write(sys.stdout, value)

    def error(
        self, text: str, *, code: str = "", hint: str = "", request_id: str = "", generation_id: str = ""
    ) -> None:
        if self.as_json:
            error = {"code": code, "detail": text, "hint": hint, "request_id": request_id}
            if generation_id:
                error["generation_id"] = generation_id
            _write(sys.stderr, {"error": error})
            return
        self.err.print(f"easel: {text}", markup=False, style="red")
        for line in (hint, f"Request id: {request_id}" if request_id else ""):
            if line:
                self.err.print(f"  {line}", markup=False)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        table = Table(box=None, pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(column, overflow="fold", no_wrap=number == 0)  # the first is what one copies
        for row in rows:
            table.add_row(*[Text("" if cell is None else str(cell)) for cell in row])
        self.out.print(table, soft_wrap=False)


def _write(stream: TextIO | None, value: Any) -> None:
    """One JSON value a line, in whatever the stream can hold. It is None where it was closed before we began."""
    if stream is None:
        return
    in_full = (stream.encoding or "").lower().startswith("utf")
    try:
        stream.write(json.dumps(value, ensure_ascii=not in_full) + "\n")
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # for what Python still flushes when it ends
        raise
