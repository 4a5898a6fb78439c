"""`easel models`, `easel usage`, `easel quote`"""

from typing import Annotated, Optional

import typer

from easel_client.cli import drawing
from easel_client.cli.running import state_of, told


def models(context: typer.Context) -> None:
    """The models you may name, the default one first."""
    state = state_of(context)
    with told(state.terminal), state.client() as easel:
        found = easel.models()
        if state.terminal.as_json:
            for each in found:
                state.terminal.data(each.raw)
            return
        rows = [
            (("* " if each.default else "  ") + each.name, each.title, _size(each.defaults), each.defaults.get("steps"))
            for each in found
        ]
        state.terminal.table(("  name", "title", "size", "steps"), rows)


def usage(
    context: typer.Context,
    first: Annotated[Optional[str], typer.Option("--from", help="First day, 2026-01-31 (UTC).")] = None,
    last: Annotated[Optional[str], typer.Option("--to", help="Last day.")] = None,
    group_by: Annotated[str, typer.Option(help="day, key, model, status, or several with commas.")] = "day",
) -> None:
    """What was used this month or in a period, and what is left."""
    state = state_of(context)
    with told(state.terminal), state.client() as easel:
        used, account = easel.usage(first=first, last=last, group_by=group_by), easel.account()
        if state.terminal.as_json:
            state.terminal.data({"usage": used.raw, "account": account.raw})
            return
        sums = ("generations", "images", "charged", "refunded", "credits")
        rows = [[*(row.get(name) for name in used.group_by), *(row[name] for name in sums)] for row in used.data]
        total = [["total", *[""] * (len(used.group_by) - 1), *(used.total[name] for name in sums)]]
        state.terminal.table((*used.group_by, *sums), rows + total)
        state.terminal.say(f"Plan {account.plan['name']}: {account.available} credits available.")
        for span, quota in account.quotas.items():
            allowed = "no limit" if quota["allowed"] is None else f"of {quota['allowed']}"
            state.terminal.say(f"Generations this {span}: {quota['used']} {allowed}, anew at {quota['resets_at']}.")


def quote(
    context: typer.Context,
    *,
    prompt: Annotated[str, typer.Argument(help="Decides the price only where the model is chosen by it.")] = "",
    model: drawing.Model = None,
    steps: drawing.Steps = None,
    size: drawing.Size = None,
    sampler: drawing.Sampler = None,
    n: drawing.Count = None,
) -> None:
    """What a request would cost. Nothing is drawn."""
    state = state_of(context)
    options = drawing.drawing(size=size, model=model, steps=steps, sampler=sampler, n=n)
    with told(state.terminal), state.client() as easel:
        found = easel.quote(prompt, **options)
        if state.terminal.as_json:
            state.terminal.data(found.raw)
            return
        wait = "" if found.wait_seconds is None else f", in about {found.wait_seconds} s"
        drawn = f"{found.n} × {found.width}×{found.height} by {found.model} in {found.steps} steps"
        state.terminal.say(f"{found.credits} credits for {drawn}{wait}.")


def _size(defaults: "object") -> str:
    get = getattr(defaults, "get", lambda _: None)
    width, height = get("width"), get("height")
    return f"{width}×{height}" if width and height else ""
