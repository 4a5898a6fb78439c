"""`easel watch`"""

from collections.abc import Iterator
from typing import Annotated, Optional

import typer

from easel_client import Easel, Event
from easel_client.cli.running import state_of, told


def watch(
    context: typer.Context,
    generation: Annotated[Optional[str], typer.Argument(help="Its id; all of them if left out.")] = None,
) -> None:
    """Follow what happens, to one generation until it ends or to all of them until Ctrl-C."""
    state = state_of(context)
    with told(state.terminal), state.client() as easel:
        for event in _events(easel, generation):
            if state.terminal.as_json:
                state.terminal.data({"event": event.kind, "id": event.id, **event.data})
            elif said := _said(event):
                state.terminal.say(f"{event.generation_id}  {said}")


def _events(easel: Easel, generation: Optional[str]) -> Iterator[Event]:
    return easel.events() if generation is None else easel.stream(generation)


def _said(event: Event) -> str:
    if event.kind == "progress":
        return f"{(event.progress or 0) * 100:.0f} %"
    if event.kind == "preview":
        return f"preview of picture {event.data.get('index', 0) + 1}, step {event.data.get('step')}"
    return event.status or event.kind
